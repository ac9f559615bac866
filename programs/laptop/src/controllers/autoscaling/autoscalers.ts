import { type Clock, type Logger, systemClock } from "@weft/foundation";
import {
  type Condition,
  type Informer,
  isKubeError,
  type KubeClient,
  kinds,
  type Pod,
  parseLabelSelector,
} from "@weft/kube";
import { sameJson } from "../../kinds/path.js";
import { forEach, startController } from "../controller.js";
import { readPodsMetric } from "./custom-metrics.js";
import { type Autoscaler, condition, type Evaluation, evaluate, type MetricValues, podsMetricOf } from "./evaluate.js";
import { readScale, type Scale, scalePath, writeScale } from "./scale-target.js";
import { emptyHistory, noteChange, type ScalingHistory } from "./scaling-rules.js";

interface Memory {
  /** The spec that was looked at: another one is looked at without waiting. */
  spec: string;
  lookedMs: number;
  history: ScalingHistory;
}

/** HorizontalPodAutoscalers → the `scale` of what they name, by what custom.metrics.k8s.io says of its Pods. */
export function startAutoscalers(options: {
  readonly client: KubeClient;
  readonly autoscalers: Informer<Autoscaler>;
  readonly pods: Informer<Pod>;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** How often each autoscaler is looked at. Default 5 s. */
  readonly everyMs?: number;
}): AsyncDisposable {
  const { client, autoscalers, pods, clock = systemClock, everyMs = 5_000 } = options;
  const logger = options.logger.child({ component: "autoscalers" });
  const memories = new Map<string, Memory>();
  return startController({
    name: "autoscalers",
    triggers: [autoscalers.objects],
    logger: options.logger,
    async reconcile(signal) {
      const all = [...autoscalers.objects.value.values()].filter(
        ({ metadata }) => metadata.deletionTimestamp === undefined,
      );
      const uids = new Set(all.map(({ metadata }) => metadata.uid ?? ""));
      for (const uid of memories.keys()) if (!uids.has(uid)) memories.delete(uid);
      let nextMs = everyMs;
      await forEach(all, async (autoscaler) => {
        const memory = memories.get(autoscaler.metadata.uid ?? "");
        const spec = JSON.stringify(autoscaler.spec);
        const nowMs = clock.nowMs();
        const leftMs = memory === undefined || memory.spec !== spec ? 0 : memory.lookedMs + everyMs - nowMs;
        if (leftMs > 0) {
          nextMs = Math.min(nextMs, leftMs);
          return;
        }
        const looked: Memory = { spec, lookedMs: nowMs, history: memory?.history ?? emptyHistory };
        memories.set(autoscaler.metadata.uid ?? "", looked);
        looked.history = await look({
          client,
          autoscaler,
          pods: [...pods.objects.value.values()],
          history: looked.history,
          nowMs,
          wallMs: clock.wallMs(),
          logger,
          signal,
        });
      });
      return nextMs;
    },
  });
}

interface Look {
  readonly client: KubeClient;
  readonly autoscaler: Autoscaler;
  readonly pods: readonly Pod[];
  readonly history: ScalingHistory;
  readonly nowMs: number;
  readonly wallMs: number;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** One look at one autoscaler; gives what to remember. */
async function look(options: Look): Promise<ScalingHistory> {
  const { client, autoscaler, history, nowMs, logger, signal } = options;
  const path = scalePath(autoscaler);
  const read = await readScale(client, path, signal);
  if (read.t === "failed" || path === undefined) {
    const why = read.t === "failed" ? read.why : "no such kind";
    const message = `the HPA controller was unable to get the target's current scale: ${why}`;
    const failed = condition("AbleToScale", false, { reason: "FailedGetScale", message });
    await writeStatus(options, { conditions: [failed], current: undefined, desired: undefined, rescaled: false });
    return history;
  }
  const current = read.scale.replicas;
  const selector = parseLabelSelector(read.scale.selector);
  const namespace = autoscaler.metadata.namespace ?? "default";
  const found = evaluate({
    autoscaler,
    current,
    pods: options.pods.filter(
      ({ metadata }) => metadata.namespace === namespace && selector.ok && selector.value(metadata.labels ?? {}),
    ),
    metrics: await readMetrics(options, read.scale, namespace),
    history,
    nowMs,
  });
  const able = condition("AbleToScale", true, {
    reason: "SucceededGetScale",
    message: "the HPA controller was able to get the target's current scale",
  });
  const { desired } = found;
  if (desired === current) {
    await writeStatus(options, { ...found, conditions: [able, ...found.conditions], current, rescaled: false });
    return found.history;
  }
  const refused = await writeScale(client, path, read.scale, desired, signal);
  if (refused !== undefined) {
    const message = `the HPA controller was unable to update the target scale: ${refused}`;
    const failed = condition("AbleToScale", false, { reason: "FailedUpdateScale", message });
    const conditions = [able, ...found.conditions, failed];
    await writeStatus(options, { ...found, conditions, current, desired: current, rescaled: false });
    return found.history;
  }
  logger.info("rescaled", {
    autoscaler: `${namespace}/${autoscaler.metadata.name}`,
    from: current,
    to: desired,
    why: found.why,
  });
  const scaled = condition("AbleToScale", true, {
    reason: "SucceededRescale",
    message: `the HPA controller was able to update the target scale to ${desired}`,
  });
  await writeStatus(options, { ...found, conditions: [able, ...found.conditions, scaled], current, rescaled: true });
  await writeEvent(options, found);
  return noteChange(found.history, desired - current, nowMs);
}

/** Each metric once, whatever its targets. Between the bounds alone they are looked at. */
async function readMetrics(
  { client, autoscaler, signal }: Look,
  { replicas, selector }: Scale,
  namespace: string,
): Promise<ReadonlyMap<string, MetricValues>> {
  const { minReplicas = 1, maxReplicas, metrics = [] } = autoscaler.spec;
  const values = new Map<string, MetricValues>();
  if (replicas === 0 || replicas < minReplicas || replicas > maxReplicas) return values;
  for (const name of new Set(metrics.flatMap((metric) => podsMetricOf(metric)?.name ?? [])))
    values.set(name, await readPodsMetric(client, { namespace, labelSelector: selector, name }, signal));
  return values;
}

interface Outcome {
  readonly conditions: readonly Condition[];
  readonly current: number | undefined;
  readonly desired: number | undefined;
  readonly currentMetrics?: readonly unknown[];
  readonly rescaled: boolean;
}

async function writeStatus({ client, autoscaler, wallMs, signal }: Look, outcome: Outcome): Promise<void> {
  const { metadata, status } = autoscaler;
  const now = `${new Date(wallMs).toISOString().slice(0, 19)}Z`;
  const conditions = new Map((status?.conditions ?? []).map((one) => [one.type, one]));
  for (const one of outcome.conditions) {
    const old = status?.conditions?.find(({ type }) => type === one.type);
    const lastTransitionTime = old?.status === one.status ? (old.lastTransitionTime ?? now) : now;
    conditions.set(one.type, { ...one, lastTransitionTime });
  }
  const next = {
    ...status,
    ...(metadata.generation === undefined ? {} : { observedGeneration: metadata.generation }),
    currentReplicas: outcome.current ?? status?.currentReplicas ?? 0,
    desiredReplicas: outcome.desired ?? status?.desiredReplicas ?? 0,
    ...(outcome.currentMetrics === undefined ? {} : { currentMetrics: outcome.currentMetrics }),
    conditions: [...conditions.values()],
    ...(outcome.rescaled ? { lastScaleTime: now } : {}),
  };
  if (sameJson(next, status)) return;
  const ref = { name: metadata.name, namespace: metadata.namespace ?? "default" };
  try {
    const patch = { t: "merge", body: { status: next } } as const;
    await client.patch(kinds.horizontalPodAutoscaler, ref, patch, { subresource: "status", signal });
  } catch (error) {
    if (!isKubeError(error, "not-found")) throw error;
  }
}

async function writeEvent({ client, autoscaler, wallMs, signal }: Look, found: Evaluation): Promise<void> {
  const { name, namespace = "default", uid = "" } = autoscaler.metadata;
  const now = `${new Date(wallMs).toISOString().slice(0, 19)}Z`;
  await client.create(
    kinds.event,
    {
      metadata: { name: `${name}.${wallMs.toString(16)}`, namespace },
      involvedObject: { apiVersion: "autoscaling/v2", kind: "HorizontalPodAutoscaler", name, namespace, uid },
      type: "Normal",
      reason: "SuccessfulRescale",
      message: `New size: ${found.desired}; reason: ${found.why}`,
      source: { component: "horizontal-pod-autoscaler" },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    },
    { signal },
  );
}
