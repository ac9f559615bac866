import { type Watch, WatchSource } from "@weft/foundation";
import type { Deployment, Pod } from "@weft/kube";
import type { Informers } from "./informers.js";

/** One Deployment on the board. */
export interface DeploymentLine {
  readonly name: string;
  readonly namespace: string;
  readonly ready: number;
  readonly wanted: number;
  /** All wanted Pods are of the newest template and available, and no other is left. */
  readonly done: boolean;
  /** Why not, in the words of the Pod that says most. */
  readonly why: string | undefined;
}

/** What the Deployments are at; a new value after each change. */
export function watchReadiness(informers: Informers): Watch<readonly DeploymentLine[]> & Disposable {
  const lines = new WatchSource<readonly DeploymentLine[]>([]);
  const refresh = (): void => {
    const pods = [...informers.pods.objects.value.values()];
    const next = [...informers.deployments.objects.value.values()]
      .map((deployment) => lineOf(deployment, pods))
      .toSorted((a, b) => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1));
    if (JSON.stringify(next) !== JSON.stringify(lines.value)) lines.set(next);
  };
  const subscriptions = [informers.pods.objects.subscribe(refresh), informers.deployments.objects.subscribe(refresh)];
  refresh();
  return Object.assign(lines, {
    [Symbol.dispose]() {
      for (const subscription of subscriptions) subscription[Symbol.dispose]();
    },
  });
}

/** How far a Deployment is, and what holds it up. */
export function lineOf(deployment: Deployment, pods: readonly Pod[]): DeploymentLine {
  const { metadata, spec, status } = deployment;
  const wanted = spec.replicas ?? 1;
  const updated = status?.updatedReplicas ?? 0;
  const ready = status?.readyReplicas ?? 0;
  const seen = status?.observedGeneration !== undefined && status.observedGeneration >= (metadata.generation ?? 0);
  const done =
    seen && updated >= wanted && (status?.availableReplicas ?? 0) >= wanted && (status?.replicas ?? 0) <= wanted;
  return {
    name: metadata.name,
    namespace: metadata.namespace ?? "default",
    ready,
    wanted,
    done,
    why: done ? undefined : whyNot(deployment, pods),
  };
}

function whyNot(deployment: Deployment, pods: readonly Pod[]): string | undefined {
  const labels = deployment.spec.selector.matchLabels ?? {};
  const reasons = pods
    .filter(
      ({ metadata }) =>
        metadata.namespace === deployment.metadata.namespace && metadata.deletionTimestamp === undefined,
    )
    .filter(({ metadata }) => Object.entries(labels).every(([key, value]) => metadata.labels?.[key] === value))
    .flatMap(({ status }) => {
      const condition = status?.conditions?.find(({ type }) => type === "Ready");
      return condition?.status === "True" ? [] : (condition?.message ?? []);
    });
  const late = deployment.status?.conditions?.find(({ reason }) => reason === "ProgressDeadlineExceeded");
  return reasons.toSorted((a, b) => b.length - a.length)[0] ?? late?.message;
}
