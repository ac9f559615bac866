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

/** Every IPv4 address and port of this machine that a program listens on. */
export function listeners(): { readonly host: string; readonly port: number }[] {
  const listening = "0A";
  return readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state]) => state === listening)
    .map(([, local = ""]) => {
      const [address = "", port = ""] = local.split(":");
      const host = (address.match(/../g) ?? []).reverse().map((byte) => Number.parseInt(byte, 16));
      return { host: host.join("."), port: Number.parseInt(port, 16) };
    });
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
