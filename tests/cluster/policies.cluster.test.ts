import { type KubeClient, kinds, type Pod, type Service } from "@weft/kube";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { declaredEdges } from "../e2e/declared-edges.js";
import { orderEdges } from "../e2e/shopping.js";
import { kubeconfig, needsCluster } from "./environment.js";
import { type ShopCluster, shopCluster } from "./shop-cluster.js";

/** Every app of the two namespaces that a connection can start from: those with Node in their image. */
const callers = [
  "weft/control-plane",
  "weft/gateway",
  "shop/cart",
  "shop/catalog",
  "shop/inventory",
  "shop/orders",
  "shop/payments",
  "shop/shipping",
];
/** The ports that apps listen on, by app. */
const listeners: Readonly<Record<string, readonly number[]>> = {
  "weft/control-plane": [15010, 6443, 9464],
  "weft/gateway": [8080, 9464],
  "weft/jaeger": [4318, 16686, 9464],
  "shop/cart": [8080, 9464],
  "shop/catalog": [8080, 9464],
  "shop/inventory": [8080, 9464],
  "shop/orders": [8080, 9464],
  "shop/payments": [8080, 9464],
  "shop/shipping": [8080, 9464],
  "shop/postgres": [5432],
};

/** What is open beside the edges between services: `caller→target:port` for those that may. */
function isDeclared(caller: string, target: string, port: number): boolean {
  const [namespace = "", from = ""] = caller.split("/");
  const to = target.split("/")[1] ?? "";
  switch (port) {
    case 8080:
      return to === "gateway" ? false : declaredEdges().includes(`${from}→${to}`);
    case 9464:
      return from === "control-plane";
    case 15010:
      return from !== "control-plane";
    // By an address block of its own egress; the port itself asks for a client certificate.
    case 6443:
      return from === "control-plane";
    case 4318:
      return true;
    case 5432:
      return namespace === "shop";
    default:
      return false;
  }
}

describe.skipIf(kubeconfig === undefined)(`the NetworkPolicies of the cluster ${needsCluster}`, () => {
  let cluster: ShopCluster;
  let pods: ReadonlyMap<string, Pod>;
  beforeAll(async () => {
    cluster = await shopCluster();
    pods = new Map(
      await Promise.all(
        Object.keys(listeners).map(async (app): Promise<[string, Pod]> => [app, await onePod(cluster, app)]),
      ),
    );
  }, 900_000);
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  test.each(callers)(
    "%s reaches what it declares, and nothing else",
    async (caller) => {
      const targets = Object.entries(listeners)
        .filter(([app]) => app !== caller)
        .flatMap(([app, ports]) =>
          ports.map((port) => ({ app, port, address: `${addressOf(pods.get(app))}:${port}` })),
        );
      const reached = await cluster.reach(
        podFor(pods, caller),
        targets.map(({ address }) => address),
      );
      const seen = targets.map(({ app, port, address }) => ({
        to: `${app}:${port}`,
        outcome: reached.find(({ target }) => target === address)?.outcome,
      }));
      expect(seen).toEqual(
        targets.map(({ app, port }) => ({
          to: `${app}:${port}`,
          outcome: isDeclared(caller, app, port) ? "connected" : "timed out",
        })),
      );
    },
    60_000,
  );

  test("no service reaches the Kubernetes API, another namespace, or the world", async () => {
    const api = await cluster.client.get(kinds.service, { namespace: "default", name: "kubernetes" });
    const targets = [`${clusterIpOf(api)}:443`, `${await addressOfDns(cluster.client)}:9153`, "1.1.1.1:443"];
    for (const caller of callers.filter((one) => one !== "weft/control-plane")) {
      const reached = await cluster.reach(podFor(pods, caller), targets);
      expect({ caller, outcomes: reached.map(({ outcome }) => outcome) }).toEqual({
        caller,
        outcomes: ["timed out", "timed out", "timed out"],
      });
    }
  }, 120_000);

  test("a Pod that no policy knows is refused by every service, and reaches nothing but what is open to all", async () => {
    const labels = { "app.kubernetes.io/name": "stranger" };
    const { image, spec } = plainPod(podFor(pods, "shop/catalog"));
    await cluster.apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "stranger", namespace: "default", labels },
      spec: {
        ...spec,
        containers: [
          { name: "stranger", image, command: ["/nodejs/bin/node"], args: ["-e", "setInterval(() => {}, 1000)"] },
        ],
      },
    });
    try {
      await cluster.kubectl(["wait", "-n", "default", "--for=condition=Ready", "pod/stranger", "--timeout=120s"]);
      const [stranger] = await cluster.podsOf("default", "stranger");
      if (stranger === undefined) throw new Error("there is no stranger");
      const targets = Object.entries(listeners).flatMap(([app, ports]) =>
        ports.map((port) => ({ app, port, address: `${addressOf(pods.get(app))}:${port}` })),
      );
      const reached = await cluster.reach(
        stranger,
        targets.map(({ address }) => address),
      );
      const connected = targets
        .filter(({ address }) => reached.find(({ target }) => target === address)?.outcome === "connected")
        .map(({ app, port }) => `${app}:${port}`);
      expect(connected.sort()).toEqual(["weft/control-plane:6443", "weft/gateway:8080", "weft/jaeger:16686"]);
    } finally {
      await cluster.kubectl(["delete", "pod", "stranger", "-n", "default", "--grace-period=1", "--wait=false"]);
    }
  }, 180_000);

  test("an order is placed, and its trace arrives, behind all of them", async () => {
    const { traceId } = await cluster.placeOrder();
    expect(traceId).not.toBe("");
    await cluster.jaegerTrace(traceId, orderEdges);
  }, 180_000);
});

async function onePod(cluster: ShopCluster, app: string): Promise<Pod> {
  const [namespace = "", name = ""] = app.split("/");
  const [pod] = await cluster.podsOf(namespace, name);
  if (pod === undefined) throw new Error(`there is no Pod of ${app}`);
  return pod;
}

function podFor(pods: ReadonlyMap<string, Pod>, app: string): Pod {
  const pod = pods.get(app);
  if (pod === undefined) throw new Error(`there is no Pod of ${app}`);
  return pod;
}

function addressOf(pod: Pod | undefined): string {
  return pod?.status?.podIP ?? "no address";
}

function clusterIpOf(service: Service): string {
  return service.spec.clusterIP ?? "";
}

async function addressOfDns(client: KubeClient): Promise<string> {
  const { items } = await client.list(kinds.pod, { namespace: "kube-system", labelSelector: "k8s-app=kube-dns" });
  return addressOf(items[0]);
}

/** The image of a Pod, and a spec of one that has nothing of the mesh. */
function plainPod(pod: Pod): { readonly image: string; readonly spec: object } {
  return {
    image: pod.spec.containers[0]?.image ?? "",
    spec: { restartPolicy: "Never", automountServiceAccountToken: false, terminationGracePeriodSeconds: 1 },
  };
}
