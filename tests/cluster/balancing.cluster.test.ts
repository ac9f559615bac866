import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kubeconfig, needsCluster } from "./environment.js";
import { everyPodServes, replicasOf, setBounds } from "./hands.js";
import { steadyLoad } from "./load.js";
import { type ShopCluster, shopCluster } from "./shop-cluster.js";

describe.skipIf(kubeconfig === undefined)(`one client of the mesh ${needsCluster}`, () => {
  let cluster: ShopCluster;
  beforeAll(async () => {
    cluster = await shopCluster();
  }, 1_800_000);
  afterAll(async () => {
    if (cluster === undefined) return;
    await setBounds(cluster.client, "catalog", 2, 3);
    await cluster[Symbol.asyncDispose]();
  });

  test("gives each of three replicas on two nodes its share ± 10 %, and loses no call as they become five and two", async () => {
    const { client, images } = cluster;
    await setBounds(client, "catalog", 3, 3);
    await replicasOf(client, "shop", "catalog", 3);
    await using load = await steadyLoad({ images, perSecond: 100, through: "mesh" });

    const three = await cluster.podsOf("shop", "catalog");
    const nodes = new Set(three.map(({ spec }) => spec.nodeName));
    expect(nodes.size).toBe(Math.min(2, (await cluster.nodes()).length));
    await everyPodServes(cluster, three);
    const served = () => Promise.all(three.map((pod) => cluster.servedCalls(pod)));
    const before = await served();
    await everyPodServes(cluster, three, 1_000);
    const shares = (await served()).map((count, index) => count - (before[index] ?? 0));
    const fair = shares.reduce((sum, count) => sum + count, 0) / 3;
    for (const share of shares) expect(Math.abs(share / fair - 1), shares.join(", ")).toBeLessThan(0.1);

    await setBounds(client, "catalog", 5, 5);
    await replicasOf(client, "shop", "catalog", 5);
    await everyPodServes(cluster, await cluster.podsOf("shop", "catalog"));

    await setBounds(client, "catalog", 2, 2);
    await replicasOf(client, "shop", "catalog", 2);
    await everyPodServes(cluster, await cluster.podsOf("shop", "catalog"));
    expect((await load.stop()).failed).toEqual([]);
  }, 900_000);
});
