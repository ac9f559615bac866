// Global set-up of the cluster tier: the cluster of KUBECONFIG if that is set, else one made by the folder that WEFT_CLUSTER names
// (its `up` prints a kubeconfig's path, its `down` takes everything away), else none, and the tests say what they skip.
import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** Makes the cluster before the first test file; the function that comes back takes it down after the last. */
export function setup(): (() => void) | undefined {
  const folder = process.env["WEFT_CLUSTER"];
  if (process.env["KUBECONFIG"] !== undefined || folder === undefined) return undefined;
  execFileSync(join(folder, "up"), { stdio: ["ignore", "ignore", "inherit"] });
  process.env["KUBECONFIG"] = execFileSync(join(folder, "kubeconfig"), { encoding: "utf8" }).trim();
  return () => {
    execFileSync(join(folder, "down"), { stdio: ["ignore", "ignore", "inherit"] });
  };
}
