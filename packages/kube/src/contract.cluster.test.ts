import { loadKubeconfig } from "./config.js";
import { runKubeContract } from "./testing/index.js";

// Any cluster will do: the one that kubectl would speak to.
runKubeContract("the cluster of KUBECONFIG", async () => {
  const file = process.env["KUBECONFIG"];
  if (file === undefined) throw new Error("KUBECONFIG names no cluster to hold to the contract");
  const config = loadKubeconfig(file);
  if (!config.ok) throw new Error(config.error);
  return { server: config.value, async [Symbol.asyncDispose]() {} };
});
