import { kinds } from "@weft/kube";
import { afterAll, describe, expect, test } from "vitest";
import { orderEdges } from "../e2e/shopping.js";
import { at, type Json, list, record, shown } from "../policy/manifests.js";
import { kubeconfig, needsCluster } from "./environment.js";
import { installGatewayApi, installShop } from "./install.js";
import { overlayWith } from "./overlay.js";
import { bareCluster, type ShopCluster, uninstallShop } from "./shop-cluster.js";

describe.skipIf(kubeconfig === undefined)(`the install commands ${needsCluster}`, () => {
  let cluster: ShopCluster | undefined;
  const shop = async (): Promise<ShopCluster> => {
    cluster ??= await bareCluster();
    return cluster;
  };
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  test("lead from an empty cluster to every Deployment available, and an order that Jaeger has as one trace", async () => {
    const { images, placeOrder, jaegerTrace, client, allReady } = await shop();
    await uninstallShop();
    await installGatewayApi();
    await installShop("cluster", images);
    await allReady();
    const { traceId } = await placeOrder();
    await jaegerTrace(traceId, orderEdges);
    const { items } = await client.list(kinds.deployment, { namespace: "shop" });
    expect(items.length).toBeGreaterThan(0);
  }, 900_000);

  test("change nothing the second time", async () => {
    const { images, kubectl } = await shop();
    using rendered = overlayWith("cluster", images);
    const versions = async (): Promise<ReadonlyMap<string, string>> =>
      new Map(
        itemsOf(await kubectl(["get", "-k", rendered.folder, "-o", "json"])).map((object) => [
          shown(object),
          JSON.stringify({
            spec: object["spec"],
            data: object["data"],
            rules: object["rules"],
            labels: at(object, "metadata", "labels"),
            generation: at(object, "metadata", "generation"),
            uid: at(object, "metadata", "uid"),
          }),
        ]),
      );
    const before = await versions();
    await kubectl(["apply", "-k", rendered.folder]);
    expect(before.size).toBeGreaterThan(60);
    expect([...(await versions())]).toEqual([...before]);
  }, 180_000);

  test("are undone by delete, which leaves nothing behind", async () => {
    const { kubectl } = await shop();
    await kubectl(["delete", "secret", "-n", "shop", "-l", "app.kubernetes.io/managed-by=database-setup"]);
    await uninstallShop();
    const everything = "namespace,clusterrole,clusterrolebinding,apiservice,persistentvolume,rolebinding";
    const left = itemsOf(await kubectl(["get", everything, "-A", "-o", "json"])).filter((object) => {
      const names = [
        at(object, "metadata", "name"),
        at(object, "metadata", "namespace"),
        at(object, "spec", "claimRef", "namespace"),
      ];
      const isOurs = Object.entries(record(at(object, "metadata", "labels"))).some(
        ([key, value]) => key === "app.kubernetes.io/part-of" && value === "weft",
      );
      // A released volume is the storage class's to reclaim.
      const isReleased = at(object, "status", "phase") !== "Bound" && object["kind"] === "PersistentVolume";
      return !isReleased && (isOurs || names.some((name) => name === "weft" || name === "shop"));
    });
    expect(left.map(shown)).toEqual([]);
  }, 300_000);
});

function itemsOf(text: string): readonly Json[] {
  const answer: unknown = JSON.parse(text);
  return list(at(answer, "items")).map(record);
}
