import { Agent, request } from "node:https";
import { eventually } from "@weft/foundation/testing";
import { isRecord, kinds } from "@weft/kube";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kubeconfig, needsCluster } from "./environment.js";
import { type ShopCluster, shopCluster } from "./shop-cluster.js";

const pathOf = (metric: string, version = "v1beta2"): string =>
  `/apis/custom.metrics.k8s.io/${version}/namespaces/shop/pods/*/${metric}`;
const rates = pathOf("grpc_server_calls_per_second");
const waiting = { ceilingMs: 120_000, everyMs: 1_000 };

describe.skipIf(kubeconfig === undefined)(`the metrics API ${needsCluster}`, () => {
  let cluster: ShopCluster;
  beforeAll(async () => {
    cluster = await shopCluster();
  }, 1_800_000);
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  /** The Pods that a list of values is about. */
  const podsIn = async (path: string): Promise<string[]> => {
    const list: unknown = JSON.parse(await cluster.kubectl(["get", "--raw", path]));
    const items = isRecord(list) && Array.isArray(list["items"]) ? list["items"] : [];
    return items.map((item) => String(item.describedObject?.name)).sort();
  };

  test("the cluster's own API hands out the figures of every ready Pod, by both versions", async () => {
    const names = (await cluster.podsOf("shop", "catalog")).map((pod) => pod.metadata.name).sort();
    const selector = `?labelSelector=${encodeURIComponent("app.kubernetes.io/name=catalog")}`;
    for (const metric of ["grpc_server_calls_per_second", "grpc_server_calls_in_flight"]) {
      for (const version of ["v1beta2", "v1beta1"]) {
        await eventually(async () => {
          expect(await podsIn(pathOf(metric, version) + selector)).toEqual(names);
          return true;
        }, waiting);
      }
    }
    const all = await podsIn(rates);
    expect(all).toEqual(expect.arrayContaining(names));
    expect(all.some((name) => name.startsWith("postgres"))).toBe(false);
  }, 180_000);

  test("both APIServices are available, by a certificate that is checked", async () => {
    for (const version of ["v1beta1", "v1beta2"]) {
      const name = `${version}.custom.metrics.k8s.io`;
      await cluster.kubectl(["wait", "--for=condition=Available", `apiservice/${name}`, "--timeout=120s"]);
      const { spec } = await cluster.client.get(kinds.apiService, { name });
      expect(spec.insecureSkipTLSVerify ?? false).toBe(false);
      expect(Buffer.from(spec.caBundle ?? "", "base64").toString()).toContain("BEGIN CERTIFICATE");
    }
  }, 180_000);

  test("a HorizontalPodAutoscaler reads both metrics", async () => {
    await eventually(async () => {
      const hpa = await cluster.client.get(kinds.horizontalPodAutoscaler, { namespace: "shop", name: "catalog" });
      const active = hpa.status?.conditions?.find(({ type }) => type === "ScalingActive");
      expect(active).toMatchObject({ status: "True", reason: "ValidMetricFound" });
      expect(JSON.stringify(hpa.status?.currentMetrics)).toContain("grpc_server_calls_in_flight");
      return true;
    }, waiting);
  }, 180_000);

  test("who may read is RBAC's to say", async () => {
    await expect(cluster.kubectl(["get", "--raw", rates, "--as=system:serviceaccount:shop:catalog"])).rejects.toThrow(
      /forbidden/i,
    );
  });

  test("a direct caller without the front proxy's certificate is refused, whomever he says he is", async () => {
    const { spec } = await cluster.client.get(kinds.apiService, { name: "v1beta2.custom.metrics.k8s.io" });
    const forwarded = await cluster.portForward("weft", "svc/control-plane", 6443);
    const code = await new Promise<number | undefined>((resolve, reject) => {
      const ask = request({
        host: "127.0.0.1",
        port: forwarded.port,
        path: rates,
        headers: { "X-Remote-User": "system:admin", "X-Remote-Group": "system:masters" },
        ca: Buffer.from(spec.caBundle ?? "", "base64"),
        servername: "control-plane.weft.svc",
        agent: new Agent({ keepAlive: false }),
      });
      ask.on("response", (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      });
      ask.on("error", reject);
      ask.end();
    });
    expect(code).toBe(401);
  }, 60_000);
});
