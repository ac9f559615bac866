import type { Condition, Deployment } from "@weft/kube";
import { limitsOf, type ReplicaSetCounts } from "./rollout-plan.js";

type Status = NonNullable<Deployment["status"]>;

const defaultDeadlineSeconds = 600;

/** The status of a Deployment with the conditions that `kubectl rollout status` reads; `againMs` when its progress deadline is to be looked at. */
export function deploymentStatus(options: {
  readonly deployment: Deployment;
  readonly current: ReplicaSetCounts & { readonly ready: number };
  readonly old: readonly (ReplicaSetCounts & { readonly ready: number })[];
  /** The current ReplicaSet was made, or taken up again, in this round. */
  readonly began: boolean;
  readonly nowMs: number;
}): { readonly status: Status; readonly againMs: number | undefined } {
  const { deployment, current, old } = options;
  const { spec, metadata } = deployment;
  const wanted = spec.replicas ?? 1;
  const all = [current, ...old];
  const total = (count: (set: (typeof all)[number]) => number): number => all.reduce((sum, set) => sum + count(set), 0);
  const counts = {
    replicas: total(({ pods }) => pods),
    updatedReplicas: current.pods,
    readyReplicas: total(({ ready }) => ready),
    availableReplicas: total(({ available }) => available),
    unavailableReplicas: Math.max(
      0,
      Math.max(
        wanted,
        total(({ pods }) => pods),
      ) - total(({ available }) => available),
    ),
  };
  const progress = progressing(options, counts, wanted);
  const enough = counts.availableReplicas >= wanted - limitsOf(spec).maxUnavailable;
  const available: Condition = enough
    ? {
        type: "Available",
        status: "True",
        reason: "MinimumReplicasAvailable",
        message: "Deployment has minimum availability.",
      }
    : {
        type: "Available",
        status: "False",
        reason: "MinimumReplicasUnavailable",
        message: "Deployment does not have minimum availability.",
      };
  return {
    status: {
      ...(metadata.generation === undefined ? {} : { observedGeneration: metadata.generation }),
      ...counts,
      conditions: [
        withTimes(available, deployment.status?.conditions, options.nowMs, false),
        withTimes(progress.condition, deployment.status?.conditions, options.nowMs, progress.moved),
      ],
    },
    againMs: progress.againMs,
  };
}

type Counts = Pick<Status, "replicas" | "updatedReplicas" | "readyReplicas" | "availableReplicas">;

function progressing(
  options: Parameters<typeof deploymentStatus>[0],
  counts: Counts,
  wanted: number,
): { readonly condition: Condition; readonly moved: boolean; readonly againMs: number | undefined } {
  const { deployment, current, began, nowMs } = options;
  const before = deployment.status?.conditions?.find(({ type }) => type === "Progressing");
  const make = (status: "True" | "False", reason: string, message: string): Condition => ({
    type: "Progressing",
    status,
    reason,
    message,
  });
  const done = counts.updatedReplicas === wanted && counts.replicas === wanted && counts.availableReplicas === wanted;
  if (done) {
    const condition = make(
      "True",
      "NewReplicaSetAvailable",
      `ReplicaSet "${current.name}" has successfully progressed.`,
    );
    return { condition, moved: before?.reason !== condition.reason, againMs: undefined };
  }
  // A rollout that was complete stays so: a Pod that fails later is a matter of availability.
  if (!began && before?.reason === "NewReplicaSetAvailable")
    return { condition: before, moved: false, againMs: undefined };
  const status = deployment.status;
  const moved =
    began ||
    before === undefined ||
    counts.updatedReplicas !== status?.updatedReplicas ||
    counts.readyReplicas !== status?.readyReplicas ||
    counts.availableReplicas !== status?.availableReplicas ||
    counts.replicas !== status?.replicas;
  const deadlineMs = (deployment.spec.progressDeadlineSeconds ?? defaultDeadlineSeconds) * 1_000;
  const sinceMs = moved ? nowMs : Date.parse(before?.lastUpdateTime ?? "") || nowMs;
  const leftMs = sinceMs + deadlineMs - nowMs;
  if (leftMs <= 0) {
    const condition = make(
      "False",
      "ProgressDeadlineExceeded",
      `ReplicaSet "${current.name}" has timed out progressing.`,
    );
    return { condition, moved: before?.reason !== condition.reason, againMs: undefined };
  }
  const reason = began ? "NewReplicaSetCreated" : "ReplicaSetUpdated";
  const condition = make("True", reason, `ReplicaSet "${current.name}" is progressing.`);
  return { condition, moved, againMs: leftMs };
}

function withTimes(
  condition: Condition,
  before: readonly Condition[] | undefined,
  nowMs: number,
  moved: boolean,
): Condition {
  const old = before?.find(({ type }) => type === condition.type);
  const now = new Date(nowMs).toISOString().replace(/\.\d+Z$/, "Z");
  return {
    ...condition,
    lastTransitionTime: (old?.status === condition.status ? old.lastTransitionTime : undefined) ?? now,
    lastUpdateTime: (moved || old?.reason !== condition.reason ? undefined : old?.lastUpdateTime) ?? now,
  };
}
