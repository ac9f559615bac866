import { afterAll, beforeAll, describe, test } from "vitest";
import { canaryTakesItsShare } from "../e2e/scenarios/canary.js";
import { catalogScalesAlone } from "../e2e/scenarios/scale.js";
import type { RunningCalls } from "../e2e/scenarios/scenario-cluster.js";
import { kubeconfig, needsCluster } from "./environment.js";
import { replicasOf, setBounds } from "./hands.js";
import { steadyLoad } from "./load.js";
import { type ShopCluster, shopCluster } from "./shop-cluster.js";

describe.skipIf(kubeconfig === undefined)(`as on the laptop ${needsCluster}`, () => {
  let cluster: ShopCluster;
  let productId = "";
  beforeAll(async () => {
    cluster = await shopCluster();
    productId = (await (await cluster.shop()).catalog.listProducts({ pageSize: 1 })).products[0]?.productId ?? "";
  }, 1_800_000);
  afterAll(async () => {
    if (cluster === undefined) return;
    await setBounds(cluster.client, "catalog", 2, 3);
    await replicasOf(cluster.client, "shop", "catalog", 2);
    await cluster[Symbol.asyncDispose]();
  }, 300_000);

  /** Calls from inside the cluster, in the words of the scenarios. */
  const startCalls = async (perSecond: number): Promise<RunningCalls> => {
    const load = await steadyLoad({ images: cluster.images, perSecond, through: "gateway", productId });
    return {
      async stop() {
        await using _ = load;
        const { failed, sent = 0 } = await load.stop();
        return { sent, failures: failed.map((error) => ({ atMs: 0, error })) };
      },
    };
  };

  test("load on catalog scales catalog alone, from one Pod to three and back", async () => {
    await catalogScalesAlone(cluster, startCalls);
  }, 1_200_000);

  test("a canary moves a tenth of the calls, its header rule beats the weights, and no call fails while it changes", async () => {
    const shop = await cluster.shop();
    await canaryTakesItsShare(cluster, {
      plain: () => shop.catalog.getProduct({ productId }),
      withHeader: () => shop.catalog.getProduct({ productId }, { headers: { "x-canary": "yes" } }),
    });
  }, 600_000);
});
