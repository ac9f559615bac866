import type { Condition, ContainerStatus, Pod, PodStatus } from "@weft/kube";
import { timestamp } from "./container-worker.js";

/** A container, and what its probes say against it. */
export interface ContainerView {
  readonly status: ContainerStatus;
  readonly whyNotReady: string | undefined;
}

/** What a Pod's status is made of. */
export interface PodView {
  readonly pod: Pod;
  readonly podIP: string;
  readonly nodeAddress: string;
  readonly startTime: string;
  readonly containers: readonly ContainerView[];
  readonly initContainers: readonly ContainerStatus[];
  /** True once every init container has succeeded. */
  readonly initialized: boolean;
}

/** The status of a Pod; a condition keeps its transition time from `previous` until its status changes. */
export function podStatusOf(view: PodView, previous: PodStatus | undefined): PodStatus {
  const phase = phaseOf(view);
  const unready = view.containers.filter(({ status }) => !status.ready);
  const finished = phase === "Succeeded" || phase === "Failed";
  const ready = unready.length === 0 && !finished;
  const why = ready
    ? {}
    : {
        reason: phase === "Succeeded" ? "PodCompleted" : "ContainersNotReady",
        message: unready.map(explain).join("; "),
      };
  const conditions: readonly Condition[] = [
    { type: "PodScheduled", status: "True" },
    { type: "Initialized", status: view.initialized ? "True" : "False" },
    { type: "ContainersReady", status: ready ? "True" : "False", ...why },
    { type: "Ready", status: ready ? "True" : "False", ...why },
  ];
  return {
    phase,
    conditions: conditions.map((condition) => withTransition(condition, previous?.conditions)),
    hostIP: view.nodeAddress,
    hostIPs: [{ ip: view.nodeAddress }],
    podIP: view.podIP,
    podIPs: [{ ip: view.podIP }],
    startTime: view.startTime,
    containerStatuses: view.containers.map(({ status }) => status),
    ...(view.initContainers.length === 0 ? {} : { initContainerStatuses: view.initContainers }),
    qosClass: "Burstable",
  };
}

function phaseOf(view: PodView): "Pending" | "Running" | "Succeeded" | "Failed" {
  const policy = view.pod.spec.restartPolicy ?? "Always";
  if (!view.initialized) return "Pending";
  const exits = view.containers.map(({ status }) => status.state?.terminated);
  if (policy !== "Always" && exits.every((exit) => exit !== undefined)) {
    if (exits.every((exit) => exit?.exitCode === 0)) return "Succeeded";
    if (policy === "Never") return "Failed";
  }
  const ran = view.containers.some(({ status: { state, lastState } }) => {
    return state?.running !== undefined || state?.terminated !== undefined || lastState?.terminated !== undefined;
  });
  return ran ? "Running" : "Pending";
}

/** Why a container is not ready, in a few words. */
function explain({ status, whyNotReady }: ContainerView): string {
  const { name, state, lastState, started } = status;
  const { waiting, running, terminated } = state ?? {};
  if (waiting !== undefined) {
    const exit = lastState?.terminated;
    const last =
      exit === undefined ? "" : `, last exit ${exit.exitCode}${exit.message === undefined ? "" : ` (${exit.message})`}`;
    return `${name}: ${waiting.message ?? waiting.reason ?? "waiting"}${last}`;
  }
  if (terminated !== undefined)
    return `${name}: exited ${terminated.exitCode}${terminated.message === undefined ? "" : `: ${terminated.message}`}`;
  if (running !== undefined) return `${name}: ${whyNotReady ?? (started === true ? "not ready" : "starting")}`;
  return `${name}: waiting`;
}

function withTransition(condition: Condition, previous: readonly Condition[] | undefined): Condition {
  const before = previous?.find(({ type }) => type === condition.type);
  const same = before !== undefined && before.status === condition.status;
  return { ...condition, lastTransitionTime: (same ? before.lastTransitionTime : undefined) ?? timestamp() };
}
