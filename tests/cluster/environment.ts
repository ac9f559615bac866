import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout that is tested. */
export const root = fileURLToPath(new URL("../..", import.meta.url));

/** The kubeconfig of the cluster under test; without one every test of this tier is skipped by name. */
export const kubeconfig = process.env["KUBECONFIG"];

/** The words for the name of what is skipped. */
export const needsCluster = "(skipped without KUBECONFIG or WEFT_CLUSTER)";

/** What the cluster's folder can do: each verb is an executable of that name in it. */
export type Verb = "base-images" | "control" | "down" | "load" | "up";

/** The executable of a verb; `undefined` on a cluster that lacks it. */
export function verb(name: Verb | "kubectl" | "crds"): string | undefined {
  const folder = process.env["WEFT_CLUSTER"];
  if (folder === undefined) return undefined;
  const path = join(folder, name);
  return existsSync(path) ? path : undefined;
}

/** True where parts of the cluster can be stopped and frozen: `test.skipIf(!canControl)("… (skipped without the verb control)")`. */
export const canControl = verb("control") !== undefined;
