import type { Deployment } from "@weft/kube";

/** A ReplicaSet of a Deployment as the plan sees it. */
export interface ReplicaSetCounts {
  readonly name: string;
  readonly createdAt: string;
  /** Wanted Pods. */
  readonly replicas: number;
  /** Pods that are there and not on their way out. */
  readonly pods: number;
  readonly available: number;
  /** Pods on their way out. */
  readonly terminating: number;
}

/** How many Pods more, and how many fewer, a rolling update may have meanwhile. */
export interface RolloutLimits {
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

/** The limits of a Deployment; percentages of the surge round up, of the unavailable down, and both never are 0 (as Kubernetes does). */
export function limitsOf(spec: Deployment["spec"]): RolloutLimits {
  const replicas = spec.replicas ?? 1;
  if (spec.strategy?.type === "Recreate") return { maxSurge: 0, maxUnavailable: replicas };
  const { maxSurge = "25%", maxUnavailable = "25%" } = spec.strategy?.rollingUpdate ?? {};
  const surge = share(maxSurge, replicas, Math.ceil);
  const unavailable = share(maxUnavailable, replicas, Math.floor);
  return { maxSurge: surge, maxUnavailable: surge === 0 && unavailable === 0 ? 1 : Math.min(unavailable, replicas) };
}

/**
 * How many Pods each ReplicaSet should have next, by name; those that stay as they are are left out.
 * A rolling update adds new Pods up to `replicas + maxSurge`, and takes old ones away only as far as `replicas - maxUnavailable` stay available.
 */
export function planScales(options: {
  readonly spec: Deployment["spec"];
  readonly current: ReplicaSetCounts;
  readonly old: readonly ReplicaSetCounts[];
}): ReadonlyMap<string, number> {
  const { spec, current, old } = options;
  const replicas = spec.replicas ?? 1;
  if (spec.strategy?.type === "Recreate") return planRecreate(replicas, current, old);
  const { maxSurge, maxUnavailable } = limitsOf(spec);
  const scales = new Map<string, number>();

  const wanted = sum([current, ...old], (set) => set.replicas);
  let next = current.replicas;
  if (current.replicas > replicas) next = replicas;
  else if (current.replicas < replicas)
    next += Math.max(0, Math.min(replicas + maxSurge - wanted, replicas - current.replicas));
  if (next !== current.replicas) scales.set(current.name, next);

  // Old Pods that are not available serve nobody: they go first, as far as the new ones' own troubles leave room.
  const minAvailable = replicas - maxUnavailable;
  const newUnavailable = Math.max(0, current.replicas - current.available);
  let room = wanted - minAvailable - newUnavailable;
  const after = new Map(old.map((set) => [set.name, set.replicas]));
  const oldestFirst = old.toSorted((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
  for (const set of oldestFirst) {
    const down = Math.min(room, Math.max(0, set.replicas - set.available));
    if (down <= 0) continue;
    after.set(set.name, set.replicas - down);
    room -= down;
  }
  // Available ones follow as new ones take their place.
  let spare = Math.min(sum([current, ...old], (set) => set.available) - minAvailable, Math.max(0, room));
  for (const set of oldestFirst) {
    const left = after.get(set.name) ?? 0;
    const down = Math.min(Math.max(0, spare), left);
    after.set(set.name, left - down);
    spare -= down;
  }
  for (const set of old) {
    const left = after.get(set.name) ?? 0;
    if (left !== set.replicas) scales.set(set.name, left);
  }
  return scales;
}

/** Everything old ends before anything new starts. */
function planRecreate(
  replicas: number,
  current: ReplicaSetCounts,
  old: readonly ReplicaSetCounts[],
): ReadonlyMap<string, number> {
  const scales = new Map<string, number>();
  for (const set of old) if (set.replicas > 0) scales.set(set.name, 0);
  const running = sum(old, (set) => set.pods + set.terminating);
  if (scales.size === 0 && running === 0 && current.replicas !== replicas) scales.set(current.name, replicas);
  return scales;
}

function share(value: number | string, of: number, round: (value: number) => number): number {
  if (typeof value === "number") return value;
  return round((Number.parseFloat(value) * of) / 100);
}

function sum<T>(values: readonly T[], count: (value: T) => number): number {
  return values.reduce((total, value) => total + count(value), 0);
}
