import { readdirSync, readFileSync } from "node:fs";
import type { Pod } from "@weft/kube";

/** The process of a Pod of the laptop, found by the Pod's name and namespace in its environment. */
export function podProcess(pod: Pod): number {
  const pids = processesWith([
    `POD_NAME=${pod.metadata.name}`,
    `POD_NAMESPACE=${pod.metadata.namespace}`,
    `POD_IP=${pod.status?.podIP}`,
  ]);
  const [pid] = pids;
  if (pid === undefined || pids.length > 1)
    throw new Error(`pod ${pod.metadata.name}: expected one process, found ${pids.join(", ") || "none"}`);
  return pid;
}

/** Processes whose environment has all of these entries. */
function processesWith(entries: readonly string[]): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const environment = environmentOf(pid);
      return entries.every((entry) => environment.includes(entry));
    });
}

function environmentOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return []; // gone meanwhile, or another user's
  }
}
