// Global set-up of the cluster tier. The cluster is the one of KUBECONFIG if that is set, else one made by the folder that WEFT_CLUSTER names
// (its `up` prints what it started, its `kubeconfig` the path of that, its `down` takes everything away), else none, and the tests say what they skip.
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** Makes the cluster before the first test file; the function that comes back takes it down after the last. */
export function setup(): (() => void | Promise<void>) | undefined {
  const folder = process.env["WEFT_CLUSTER"];
  const given = process.env["KUBECONFIG"];
  if (given === undefined && folder === undefined) return undefined;

  // What one test file made (the images of this checkout) is found here by the next.
  const run = mkdtempSync(join(tmpdir(), "weft-cluster-run-"));
  process.env["WEFT_CLUSTER_RUN"] = run;
  const removeRun = (): void => rmSync(run, { recursive: true, force: true });

  if (folder === undefined || (given !== undefined && given !== kubeconfigOf(folder))) {
    // Another cluster than the folder's: none of the folder's verbs is about it.
    delete process.env["WEFT_CLUSTER"];
    return removeRun;
  }
  // A cluster that is up, and whose registry is named, is left alone.
  if (given !== undefined && process.env["WEFT_REGISTRY"] !== undefined) return removeRun;
  const said = execFileSync(join(folder, "up"), { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  process.env["KUBECONFIG"] = kubeconfigOf(folder);
  const registry = /\bregistry ([^\s,]+)/.exec(said)?.[1];
  if (registry !== undefined) process.env["WEFT_REGISTRY"] ??= `${registry}/weft-mesh`;
  return async () => {
    removeRun();
    // Not in one go: workers that end meanwhile are waited for by this process.
    if (given === undefined) await promisify(execFile)(join(folder, "down"));
  };
}

/** The kubeconfig of the folder's cluster; `undefined` while it is not up. */
function kubeconfigOf(folder: string): string | undefined {
  try {
    return execFileSync(join(folder, "kubeconfig"), { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return undefined; // not up
  }
}
