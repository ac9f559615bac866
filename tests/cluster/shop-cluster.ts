import { randomUUID } from "node:crypto";
import { eventually } from "@weft/foundation/testing";
import { createKubeClient, type KubeClient, kinds, loadKubeconfig, type Pod } from "@weft/kube";
import { shopClients } from "../e2e/laptop.js";
import { deploymentReady, podsOf } from "../e2e/pods.js";
import { orderEdges, orderOf } from "../e2e/shopping.js";
import { type JaegerTrace, wholeTrace } from "../e2e/traces.js";
import { kubectl, runVerb } from "./command.js";
import { kubeconfig } from "./environment.js";
import { checkoutImages, type Images } from "./images.js";
import { installGatewayApi, installShop, uninstallShop } from "./install.js";
import { type PortForward, portForward } from "./port-forward.js";
import { type Reached, reach } from "./reach.js";

/** The shop on the cluster under test, and the hands to work with it. What it forwarded ends with it; the shop stays installed. */
export interface ShopCluster extends AsyncDisposable {
  readonly client: KubeClient;
  readonly images: Images;
  /** Runs kubectl and gives its standard output; rejects with what it said. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  /** Server-side apply of objects, as the field manager "test". */
  apply(...objects: readonly unknown[]): Promise<void>;
  /** A port of this machine that leads to one Pod of the target, until the cluster object is disposed. */
  portForward(namespace: string, target: string, port: number | string): Promise<PortForward>;
  /** The last lines of a Pod's log, those of the container before with `previous`. */
  logs(pod: Pod, options?: { readonly previous?: boolean; readonly tail?: number }): Promise<string>;
  /** Stops, kills, freezes or resumes a part of the cluster, or starts what is missing; ask `canControl` first. */
  control(verb: "stop" | "kill" | "pause" | "resume" | "start", name?: string): Promise<void>;
  /** Names of the nodes that are ready. */
  nodes(): Promise<string[]>;
  /** Pods of an app by its usual label that are not going away. */
  podsOf(namespace: string, app: string): Promise<Pod[]>;
  /** Waits until a Deployment has all its replicas ready, all of its newest template. */
  ready(namespace: string, deployment: string): Promise<void>;
  /** Waits until every Deployment of both namespaces is. */
  allReady(): Promise<void>;
  /** Tries TCP connections from inside a Pod of ours. */
  reach(from: Pod, targets: readonly string[]): Promise<Reached[]>;
  /** Calls that a Pod has served so far, by its own metrics. */
  servedCalls(pod: Pod): Promise<number>;
  /** Places one order through a port-forward to the gateway and gives its trace's id. */
  placeOrder(): Promise<{ readonly orderId: string; readonly traceId: string }>;
  /** Waits until Jaeger has the whole trace of an order, with these edges at least. */
  jaegerTrace(traceId: string, edges?: readonly string[]): Promise<JaegerTrace>;
  /** The public API through a port-forward to one gateway Pod. */
  shop(): Promise<ReturnType<typeof shopClients>>;
}

/** Installs this checkout's `cluster` overlay unless that is what runs already, and waits for every Deployment. */
export async function shopCluster(): Promise<ShopCluster> {
  await installGatewayApi();
  const images = await checkoutImages();
  await installShop("cluster", images);
  return createShopCluster(images);
}

/** The same hands without an installation, for a test that installs in its own way; `{}` spares it the images of the checkout. */
export async function bareCluster(images?: Images): Promise<ShopCluster> {
  return createShopCluster(images ?? (await checkoutImages()));
}

export { uninstallShop };

function createShopCluster(images: Images): ShopCluster {
  const context = loadKubeconfig(kubeconfig ?? "");
  if (!context.ok) throw new Error(context.error);
  const client = createKubeClient(context.value);
  const forwards: PortForward[] = [];

  const forward = async (namespace: string, target: string, port: number | string): Promise<PortForward> => {
    const opened = await portForward(namespace, target, port);
    forwards.push(opened);
    return opened;
  };
  const shop = async () => shopClients((await forward("weft", "svc/gateway", "http")).url);

  return {
    client,
    images,
    kubectl,
    portForward: forward,
    podsOf: (namespace, app) => podsOf(client, namespace, app),
    ready: (namespace, deployment) => deploymentReady(client, namespace, deployment),
    reach,
    shop,
    async apply(...objects) {
      const list = { apiVersion: "v1", kind: "List", items: objects };
      const how = ["--server-side", "--force-conflicts", "--field-manager=test"];
      await kubectl(["apply", ...how, "-f", "-"], JSON.stringify(list));
    },
    logs(pod, { previous = false, tail = 100 } = {}) {
      const where = ["--namespace", pod.metadata.namespace ?? "", pod.metadata.name];
      return kubectl(["logs", ...where, `--tail=${tail}`, ...(previous ? ["--previous"] : [])]);
    },
    async control(verb, name) {
      await runVerb("control", verb, ...(name === undefined ? [] : [name]));
    },
    async nodes() {
      const { items } = await client.list(kinds.node);
      return items
        .filter((node) => node.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"))
        .map((node) => node.metadata.name);
    },
    async allReady() {
      for (const namespace of ["weft", "shop"]) {
        const { items } = await client.list(kinds.deployment, { namespace });
        for (const { metadata } of items) await deploymentReady(client, namespace, metadata.name);
      }
    },
    async servedCalls(pod) {
      await using admin = await portForward(pod.metadata.namespace ?? "", `pod/${pod.metadata.name}`, 9464);
      return countServed(await (await fetch(`${admin.url}/metrics`)).text());
    },
    async placeOrder() {
      await using gateway = await portForward("weft", "svc/gateway", "http");
      const clients = shopClients(gateway.url);
      const productId = (await clients.catalog.listProducts({ pageSize: 1 })).products[0]?.productId ?? "";
      let traceId = "";
      const { order } = await clients.orders.placeOrder(
        await orderOf(clients, { productId, idempotencyKey: randomUUID() }),
        {
          onHeader: (headers) => {
            traceId = headers.get("weft-trace-id") ?? "";
          },
        },
      );
      return { orderId: order?.orderId ?? "", traceId };
    },
    async jaegerTrace(traceId, edges = orderEdges) {
      const jaeger = await eventually(() => portForward("weft", "svc/jaeger", 16686), {
        ceilingMs: 30_000,
        everyMs: 500,
        what: "a port-forward to jaeger",
      });
      await using _ = jaeger;
      return await wholeTrace(jaeger.url, traceId, edges);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(forwards.splice(0).map((one) => one[Symbol.asyncDispose]()));
    },
  };
}

function countServed(metrics: string): number {
  let total = 0;
  for (const line of metrics.split("\n")) {
    const match = /^grpc_server_call_duration\w*_count(?:\{(.*)\})? (\S+)/.exec(line);
    if (match !== null && !/grpc\.(health|reflection)/.test(match[1] ?? "")) total += Number(match[2]);
  }
  return total;
}
