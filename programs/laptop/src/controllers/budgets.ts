import { type Logger, systemClock } from "@weft/foundation";
import {
  type Deployment,
  type Informer,
  isKubeError,
  isRecord,
  type KindOf,
  type KubeClient,
  kinds,
  type Pod,
  type ReplicaSet,
} from "@weft/kube";
import { sameJson } from "../kinds/path.js";
import { forEach, startController } from "./controller.js";
import { isActive, isReady } from "./pod-readiness.js";
import { matchesSelector } from "./selector.js";

type Budget = KindOf<typeof kinds.podDisruptionBudget>;

/** How long an eviction may take to show in its Pod, before the Pod counts as healthy again. */
const evictionMs = 120_000;

/** PodDisruptionBudgets → their status: how many Pods may be evicted now. The API's `eviction` counts down what stands there. */
export function startBudgets(options: {
  readonly client: KubeClient;
  readonly budgets: Informer<Budget>;
  readonly pods: Informer<Pod>;
  readonly replicaSets: Informer<ReplicaSet>;
  readonly deployments: Informer<Deployment>;
  readonly logger: Logger;
}): AsyncDisposable {
  const { client, budgets, pods, replicaSets, deployments } = options;
  return startController({
    name: "budgets",
    triggers: [budgets.objects, pods.objects, replicaSets.objects, deployments.objects],
    logger: options.logger,
    async reconcile(signal) {
      await forEach(budgets.objects.value.values(), async (budget) => {
        const status = budgetStatus({
          budget,
          pods: [...pods.objects.value.values()],
          replicaSets: [...replicaSets.objects.value.values()],
          deployments: [...deployments.objects.value.values()],
          nowMs: systemClock.wallMs(),
        });
        if (sameJson(status, budget.status)) return;
        try {
          // On the very version that was read: an eviction in between must not be forgotten.
          const next = { ...budget, status };
          await client.replaceStatus(kinds.podDisruptionBudget, next, { signal });
        } catch (error) {
          if (!isKubeError(error, "not-found") && !isKubeError(error, "conflict")) throw error;
        }
      });
      return undefined;
    },
  });
}

/** The status of a budget, as Kubernetes' disruption controller counts. */
export function budgetStatus(options: {
  readonly budget: Budget;
  readonly pods: readonly Pod[];
  readonly replicaSets: readonly ReplicaSet[];
  readonly deployments: readonly Deployment[];
  readonly nowMs: number;
}): Readonly<Record<string, unknown>> {
  const { budget, nowMs } = options;
  const { spec = {}, metadata } = budget;
  const old = isRecord(budget.status) ? budget.status : {};
  const selector = spec.selector;
  const selected = options.pods.filter(
    (pod) =>
      pod.metadata.namespace === metadata.namespace &&
      selector !== undefined &&
      matchesSelector(selector, pod.metadata.labels) &&
      pod.status?.phase !== "Succeeded" &&
      pod.status?.phase !== "Failed",
  );
  const evicted = new Map(
    Object.entries(isRecord(old["disruptedPods"]) ? old["disruptedPods"] : {}).filter(
      ([name, since]) =>
        Date.parse(String(since)) > nowMs - evictionMs &&
        selected.some((pod) => pod.metadata.name === name && pod.metadata.deletionTimestamp === undefined),
    ),
  );
  const healthy = selected.filter((pod) => isActive(pod) && isReady(pod) && !evicted.has(pod.metadata.name)).length;
  const { expected, desired } = bounds(spec, selected, options);
  const allowed = expected <= 0 ? 0 : Math.max(0, healthy - desired);
  const conditions = Array.isArray(old["conditions"]) ? old["conditions"] : [];
  const before: unknown = conditions.find((one) => isRecord(one) && one["type"] === "DisruptionAllowed");
  const word = allowed > 0 ? "True" : "False";
  const since = isRecord(before) && before["status"] === word ? before["lastTransitionTime"] : undefined;
  const condition = {
    type: "DisruptionAllowed",
    status: word,
    observedGeneration: metadata.generation,
    lastTransitionTime: since ?? `${new Date(nowMs).toISOString().slice(0, 19)}Z`,
    reason: allowed > 0 ? "SufficientPods" : "InsufficientPods",
    message: "",
  };
  return {
    observedGeneration: metadata.generation,
    disruptionsAllowed: allowed,
    currentHealthy: healthy,
    desiredHealthy: desired,
    expectedPods: expected,
    ...(evicted.size === 0 ? {} : { disruptedPods: Object.fromEntries(evicted) }),
    conditions: [condition],
  };
}

/** How many Pods there should be, and how many of them healthy. Shares of them round up. */
function bounds(
  { minAvailable, maxUnavailable }: NonNullable<Budget["spec"]>,
  selected: readonly Pod[],
  options: { readonly replicaSets: readonly ReplicaSet[]; readonly deployments: readonly Deployment[] },
): { readonly expected: number; readonly desired: number } {
  if (minAvailable !== undefined && typeof minAvailable === "number")
    return { expected: selected.length, desired: minAvailable };
  const expected = wantedPods(selected, options);
  const share = (value: number | string): number =>
    typeof value === "number" ? value : Math.ceil((Number.parseFloat(value) * expected) / 100);
  if (minAvailable !== undefined) return { expected, desired: share(minAvailable) };
  return { expected, desired: Math.max(0, expected - share(maxUnavailable ?? 0)) };
}

/** The replicas that the owners of these Pods are to have; a Pod of nobody counts as one. */
function wantedPods(
  pods: readonly Pod[],
  {
    replicaSets,
    deployments,
  }: { readonly replicaSets: readonly ReplicaSet[]; readonly deployments: readonly Deployment[] },
): number {
  const wanted = new Map<string, number>();
  for (const { metadata } of pods) {
    const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
    const set = replicaSets.find((one) => one.metadata.uid === owner?.uid);
    const deploymentUid = set?.metadata.ownerReferences?.find(({ controller }) => controller === true)?.uid;
    const deployment = deployments.find((one) => one.metadata.uid === deploymentUid);
    if (deployment !== undefined) wanted.set(deployment.metadata.uid ?? "", deployment.spec.replicas ?? 1);
    else if (set !== undefined) wanted.set(set.metadata.uid ?? "", set.spec.replicas ?? 1);
    else wanted.set(metadata.uid ?? "", 1);
  }
  return [...wanted.values()].reduce((sum, count) => sum + count, 0);
}
