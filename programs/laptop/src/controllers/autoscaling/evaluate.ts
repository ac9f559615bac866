import { type Condition, isRecord, type KindOf, type kinds, type Pod } from "@weft/kube";
import { formatMilli, parseMilli } from "../../kinds/quantity.js";
import { parseBehavior, parseTolerance } from "./behavior.js";
import { proposePods, type Tolerance } from "./pods-metric.js";
import { type Bounds, type Decision, decide, type ScalingHistory, type Verdict } from "./scaling-rules.js";

export type Autoscaler = KindOf<typeof kinds.horizontalPodAutoscaler>;

/** The values of a metric by Pod, in thousandths, or why there are none. */
export type MetricValues =
  | { readonly t: "values"; readonly values: ReadonlyMap<string, number> }
  | { readonly t: "failed"; readonly why: string };

/** The metric of type Pods that an entry of `spec.metrics` names; `undefined` for any other type. */
export function podsMetricOf(metric: unknown): { readonly name: string; readonly targetMilli: number } | undefined {
  if (!isRecord(metric) || metric["type"] !== "Pods" || !isRecord(metric["pods"])) return undefined;
  const { metric: identifier, target } = metric["pods"];
  const name = isRecord(identifier) ? identifier["name"] : undefined;
  const targetMilli = isRecord(target) ? parseMilli(target["averageValue"]) : undefined;
  if (typeof name !== "string" || targetMilli === undefined || targetMilli <= 0) return undefined;
  return { name, targetMilli };
}

/** What one look at an autoscaler comes to. */
export interface Evaluation {
  /** The number of replicas that there should be. */
  readonly desired: number;
  /** Why it is not the number that there is, for the event of the change. */
  readonly why: string;
  /** Newest word on each condition. */
  readonly conditions: readonly Condition[];
  readonly currentMetrics: readonly unknown[];
  readonly history: ScalingHistory;
}

/** Looks at an autoscaler as kube-controller-manager does: bounds first, then the greatest number that a metric asks for, held back by `behavior`. */
export function evaluate(options: {
  readonly autoscaler: Autoscaler;
  readonly current: number;
  readonly pods: readonly Pod[];
  readonly metrics: ReadonlyMap<string, MetricValues>;
  readonly history: ScalingHistory;
  readonly nowMs: number;
}): Evaluation {
  const { autoscaler, current, history, nowMs } = options;
  const bounds: Bounds = { min: autoscaler.spec.minReplicas ?? 1, max: autoscaler.spec.maxReplicas };
  // What was there when it was first seen counts as asked for: a new autoscaler does not take Pods away at once.
  const known =
    history.recommendations.length === 0
      ? { ...history, recommendations: [{ atMs: nowMs, replicas: current }] }
      : history;
  const still = { why: "", conditions: [], currentMetrics: [], history: known };
  if (current === 0) {
    const message = "scaling is disabled since the replica count of the target is zero";
    return {
      ...still,
      desired: 0,
      conditions: [condition("ScalingActive", false, { reason: "ScalingDisabled", message })],
    };
  }
  if (current > bounds.max)
    return { ...still, desired: bounds.max, why: "Current number of replicas above Spec.MaxReplicas" };
  if (current < bounds.min)
    return { ...still, desired: bounds.min, why: "Current number of replicas below Spec.MinReplicas" };

  const asked = askMetrics(options, parseTolerance(autoscaler.spec.behavior));
  if (asked.t === "unknown") {
    const active = condition("ScalingActive", false, asked.verdict);
    return { ...still, desired: current, conditions: [active], currentMetrics: asked.currentMetrics };
  }
  const decision = decide({
    current,
    desired: asked.replicas,
    bounds,
    behavior: parseBehavior(autoscaler.spec.behavior),
    history: known,
    nowMs,
  });
  return {
    desired: decision.replicas,
    why: decision.replicas > current ? `${asked.metric} above target` : "All metrics below target",
    conditions: [
      condition("ScalingActive", true, {
        reason: "ValidMetricFound",
        message: `the HPA was able to successfully calculate a replica count from ${asked.metric}`,
      }),
      ...heldConditions(decision),
    ],
    currentMetrics: asked.currentMetrics,
    history: decision.history,
  };
}

function heldConditions({ stabilized, limited }: Decision): readonly Condition[] {
  const ready = { reason: "ReadyForNewScale", message: "recommended size matches current size" };
  const inRange = { reason: "DesiredWithinRange", message: "the desired count is within the acceptable range" };
  return [
    condition("AbleToScale", true, stabilized ?? ready),
    condition("ScalingLimited", limited !== undefined, limited ?? inRange),
  ];
}

type Asked =
  | {
      readonly t: "replicas";
      readonly replicas: number;
      readonly metric: string;
      readonly currentMetrics: readonly unknown[];
    }
  | { readonly t: "unknown"; readonly verdict: Verdict; readonly currentMetrics: readonly unknown[] };

/** The greatest number that a metric asks for. One that can't be read keeps the number from going down. */
function askMetrics(
  options: Pick<Parameters<typeof evaluate>[0], "autoscaler" | "current" | "pods" | "metrics">,
  tolerance: Tolerance,
): Asked {
  const { autoscaler, current, pods, metrics } = options;
  const currentMetrics: unknown[] = [];
  let most: { readonly replicas: number; readonly metric: string } | undefined;
  let failure: Verdict | undefined;
  for (const entry of autoscaler.spec.metrics ?? []) {
    const wanted = podsMetricOf(entry);
    if (wanted === undefined) {
      failure ??= notMeasured(entry);
      continue;
    }
    const found = metrics.get(wanted.name) ?? { t: "failed", why: "it was not asked for" };
    const proposal =
      found.t === "failed"
        ? ({ t: "unknown", why: `unable to get metric ${wanted.name}: ${found.why}` } as const)
        : proposePods({ current, targetMilli: wanted.targetMilli, tolerance, pods, values: found.values });
    if (proposal.t === "unknown") {
      failure ??= {
        reason: "FailedGetPodsMetric",
        message: `the HPA was unable to compute the replica count: ${proposal.why}`,
      };
      continue;
    }
    currentMetrics.push({
      type: "Pods",
      pods: { metric: { name: wanted.name }, current: { averageValue: formatMilli(proposal.averageMilli) } },
    });
    if (most === undefined || proposal.replicas > most.replicas)
      most = { replicas: proposal.replicas, metric: `pods metric ${wanted.name}` };
  }
  if (most !== undefined && (failure === undefined || most.replicas >= current))
    return { t: "replicas", ...most, currentMetrics };
  const verdict = failure ?? { reason: "InvalidMetricSourceType", message: "the HPA has no metric to scale on" };
  return { t: "unknown", verdict, currentMetrics };
}

function notMeasured(metric: unknown): Verdict {
  const type = isRecord(metric) ? String(metric["type"]) : "";
  return {
    reason: `FailedGet${type}Metric`,
    message: `the HPA was unable to compute the replica count: a laptop measures no metrics of type ${type}, only Pods`,
  };
}

export function condition(type: string, status: boolean, { reason, message }: Verdict): Condition {
  return { type, status: status ? "True" : "False", reason, message };
}
