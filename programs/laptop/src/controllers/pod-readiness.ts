import type { Pod } from "@weft/kube";

/** Whether the Pod's readiness probes pass; a Pod that is going away may still be. */
export function isReady(pod: Pod): boolean {
  return readyCondition(pod)?.status === "True";
}

/** Whether the Pod is on its way out. */
export function isTerminating(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined;
}

/** Whether the Pod counts for whoever owns it: neither finished nor on its way out. */
export function isActive(pod: Pod): boolean {
  return !isTerminating(pod) && pod.status?.phase !== "Succeeded" && pod.status?.phase !== "Failed";
}

/** Milliseconds until a Pod has been ready for `minReadySeconds`: 0 when it has, `undefined` while it is not ready. */
export function untilAvailableMs(pod: Pod, minReadySeconds: number, nowMs: number): number | undefined {
  if (!isReady(pod) || !isActive(pod)) return undefined;
  const since = Date.parse(readyCondition(pod)?.lastTransitionTime ?? "");
  if (minReadySeconds === 0 || Number.isNaN(since)) return 0;
  return Math.max(0, since + minReadySeconds * 1_000 - nowMs);
}

function readyCondition(pod: Pod): NonNullable<NonNullable<Pod["status"]>["conditions"]>[number] | undefined {
  return pod.status?.conditions?.find(({ type }) => type === "Ready");
}
