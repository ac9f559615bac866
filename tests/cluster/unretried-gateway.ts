import { rolledOut } from "./hands.js";
import { steadyLoad } from "./load.js";
import { type ShopCluster, shopCluster } from "./shop-cluster.js";

/** What is tried again by policy would hide what a rollout loses: the gateway, which makes the calls, does without meanwhile. */
const withoutRetries = "WEFT_POLICY_RETRIES";

/** The shop on a cluster, its gateway without retries by policy; disposing gives them back. */
export interface UnretriedGateway extends AsyncDisposable {
  readonly cluster: ShopCluster;
  /** 200 calls a second through the gateway, from a Pod on the node that is named, else on any. */
  loadFrom(node?: string): ReturnType<typeof steadyLoad>;
  /** What the gateways say of calls that failed behind them. */
  saidBy(): Promise<string>;
}

export async function unretriedGateway(): Promise<UnretriedGateway> {
  const cluster = await shopCluster();
  await cluster.kubectl(["set", "env", "deployment/gateway", "-n", "weft", `${withoutRetries}=false`]);
  await rolledOut("weft", "gateway");
  const productId = (await (await cluster.shop()).catalog.listProducts({ pageSize: 1 })).products[0]?.productId ?? "";
  return {
    cluster,
    loadFrom: (node) =>
      steadyLoad({
        images: cluster.images,
        perSecond: 200,
        through: "gateway",
        productId,
        ...(node === undefined ? {} : { node }),
      }),
    async saidBy() {
      const logs = await Promise.all((await cluster.podsOf("weft", "gateway")).map((pod) => cluster.logs(pod)));
      const lines = logs.flatMap((log) => log.split("\n"));
      return lines.filter((line) => line.includes("a call failed inside")).join("\n");
    },
    async [Symbol.asyncDispose]() {
      await cluster.kubectl(["set", "env", "deployment/gateway", "-n", "weft", `${withoutRetries}-`]);
      await rolledOut("weft", "gateway");
      await cluster[Symbol.asyncDispose]();
    },
  };
}
