import { describe } from "vitest";
import { loadKubeconfig } from "./config.js";
import { runKubeContract } from "./testing/index.js";

const file = process.env["KUBECONFIG"];

// Any cluster will do: the one that kubectl would speak to.
describe.skipIf(file === undefined)("a real cluster (skipped without KUBECONFIG or WEFT_CLUSTER)", () => {
  runKubeContract("the cluster of KUBECONFIG", async () => {
    const config = loadKubeconfig(file ?? "");
    if (!config.ok) throw new Error(config.error);
    return { server: config.value, async [Symbol.asyncDispose]() {} };
  });
});
