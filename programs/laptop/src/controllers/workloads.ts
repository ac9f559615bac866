import { createHash, randomBytes } from "node:crypto";
import { type Logger, systemClock } from "@weft/foundation";
import {
  type Deployment,
  type Informer,
  isKubeError,
  type KubeClient,
  kinds,
  type ObjectMeta,
  type Pod,
  type PodTemplate,
  type ReplicaSet,
} from "@weft/kube";
import { forEach, startController } from "./controller.js";
import { deploymentStatus } from "./deployment-status.js";
import { isActive, isReady, isTerminating, untilAvailableMs } from "./pod-readiness.js";
import { planScales, type ReplicaSetCounts } from "./rollout-plan.js";
import { matchesSelector } from "./selector.js";

const revisionKey = "deployment.kubernetes.io/revision";
const hashLabel = "pod-template-hash";

interface Cluster {
  readonly deployments: readonly Deployment[];
  readonly replicaSets: readonly ReplicaSet[];
  readonly pods: readonly Pod[];
}

interface SetView extends ReplicaSetCounts {
  readonly set: ReplicaSet;
  readonly ready: number;
  readonly live: readonly Pod[];
}

/**
 * Deployments → ReplicaSets → Pods, in one loop. Each round reads all three afresh from the API, so that no round acts on what an earlier one has changed.
 */
export function startWorkloads(options: {
  readonly client: KubeClient;
  readonly deployments: Informer<Deployment>;
  readonly replicaSets: Informer<ReplicaSet>;
  readonly pods: Informer<Pod>;
  readonly nodeName: string;
  readonly logger: Logger;
}): AsyncDisposable {
  const { client, deployments, replicaSets, pods, nodeName } = options;
  return startController({
    name: "workloads",
    triggers: [deployments.objects, replicaSets.objects, pods.objects],
    logger: options.logger,
    async reconcile(signal) {
      const nowMs = systemClock.wallMs();
      const cluster = await readCluster(client, signal);
      const again: number[] = [];
      await forEach(cluster.deployments, async (deployment) => {
        if (isDeleted(deployment.metadata)) return;
        const waitMs = await reconcileDeployment({ client, cluster, deployment, nowMs, signal });
        if (waitMs !== undefined) again.push(waitMs);
      });
      const scaled = await readCluster(client, signal);
      await forEach(scaled.replicaSets, async (set) => {
        if (isDeleted(set.metadata)) return;
        const view = viewSet(set, scaled.pods, nowMs);
        again.push(...view.soonMs);
        await scalePods({ client, view, nodeName, signal });
        await writeSetStatus(client, view, signal);
      });
      return again.length === 0 ? undefined : Math.max(50, Math.min(...again));
    },
  });
}

async function readCluster(client: KubeClient, signal: AbortSignal): Promise<Cluster> {
  const [deployments, replicaSets, pods] = await Promise.all([
    client.list(kinds.deployment, { signal }),
    client.list(kinds.replicaSet, { signal }),
    client.list(kinds.pod, { signal }),
  ]);
  return { deployments: deployments.items, replicaSets: replicaSets.items, pods: pods.items };
}

async function reconcileDeployment(context: {
  readonly client: KubeClient;
  readonly cluster: Cluster;
  readonly deployment: Deployment;
  readonly nowMs: number;
  readonly signal: AbortSignal;
}): Promise<number | undefined> {
  const { client, cluster, deployment, nowMs, signal } = context;
  const owned = cluster.replicaSets.filter(
    (set) => isOwned(set.metadata, deployment.metadata) && !isDeleted(set.metadata),
  );
  const hash = templateHash(deployment.spec.template);
  const existing = owned.find((set) => set.metadata.labels?.[hashLabel] === hash);
  const olderSets = owned.filter((set) => set !== existing);
  // A paused Deployment begins nothing new.
  if (existing === undefined && deployment.spec.paused === true) return undefined;
  const newest = Math.max(0, ...olderSets.map(revisionOf));
  const currentSet = existing ?? (await createSet({ client, deployment, hash, revision: newest + 1, signal }));
  const resumed = existing !== undefined && revisionOf(existing) <= newest;
  if (resumed) await annotate(client, kinds.replicaSet, existing.metadata, String(newest + 1), signal);
  const revision = existing === undefined || resumed ? newest + 1 : revisionOf(existing);
  if (deployment.metadata.annotations?.[revisionKey] !== String(revision)) {
    await annotate(client, kinds.deployment, deployment.metadata, String(revision), signal);
  }

  const current = viewSet(currentSet, cluster.pods, nowMs);
  const old = olderSets.map((set) => viewSet(set, cluster.pods, nowMs));
  const scales =
    deployment.spec.paused === true ? new Map<string, number>() : planScales({ spec: deployment.spec, current, old });
  for (const [name, replicas] of scales) {
    const ref = { name, namespace: deployment.metadata.namespace ?? "default" };
    await client.patch(kinds.replicaSet, ref, { t: "merge", body: { spec: { replicas } } }, { signal });
  }
  await dropHistory({ client, deployment, old, signal });

  const { status, againMs } = deploymentStatus({
    deployment,
    current,
    old,
    began: existing === undefined || resumed,
    nowMs,
  });
  if (JSON.stringify(status) !== JSON.stringify(orderedLike(status, deployment.status))) {
    await patchStatus(client, kinds.deployment, deployment.metadata, status, signal);
  }
  return againMs;
}

async function createSet(options: {
  readonly client: KubeClient;
  readonly deployment: Deployment;
  readonly hash: string;
  readonly revision: number;
  readonly signal: AbortSignal;
}): Promise<ReplicaSet> {
  const { client, deployment, hash } = options;
  const { template, selector, minReadySeconds } = deployment.spec;
  const labels = { ...template.metadata?.labels, [hashLabel]: hash };
  const cause = deployment.metadata.annotations?.["kubernetes.io/change-cause"];
  return client.create(
    kinds.replicaSet,
    {
      metadata: {
        name: `${deployment.metadata.name}-${hash}`,
        namespace: deployment.metadata.namespace ?? "default",
        labels,
        annotations: {
          [revisionKey]: String(options.revision),
          ...(cause === undefined ? {} : { "kubernetes.io/change-cause": cause }),
        },
        ownerReferences: [ownerReference("apps/v1", "Deployment", deployment.metadata)],
      },
      spec: {
        replicas: 0,
        selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
        template: { ...template, metadata: { ...template.metadata, labels } },
        ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
      },
    },
    { signal: options.signal },
  );
}

/** Old ReplicaSets beyond the history limit go, oldest revision first, once nothing runs in them. */
async function dropHistory(options: {
  readonly client: KubeClient;
  readonly deployment: Deployment;
  readonly old: readonly SetView[];
  readonly signal: AbortSignal;
}): Promise<void> {
  const { client, deployment, old, signal } = options;
  const idle = old
    .filter(({ replicas, pods, terminating }) => replicas + pods + terminating === 0)
    .toSorted((a, b) => revisionOf(a.set) - revisionOf(b.set));
  const surplus = idle.length - (deployment.spec.revisionHistoryLimit ?? 10);
  for (const { set } of idle.slice(0, Math.max(0, surplus))) {
    await client.delete(kinds.replicaSet, refOf(set.metadata), { signal });
  }
}

function viewSet(
  set: ReplicaSet,
  pods: readonly Pod[],
  nowMs: number,
): SetView & { readonly soonMs: readonly number[] } {
  const own = pods.filter(
    (pod) => isOwned(pod.metadata, set.metadata) && matchesSelector(set.spec.selector, pod.metadata.labels),
  );
  const live = own.filter(isActive);
  const waits = live.map((pod) => untilAvailableMs(pod, set.spec.minReadySeconds ?? 0, nowMs));
  return {
    set,
    name: set.metadata.name,
    createdAt: set.metadata.creationTimestamp ?? "",
    replicas: set.spec.replicas ?? 1,
    pods: live.length,
    ready: live.filter(isReady).length,
    available: waits.filter((waitMs) => waitMs === 0).length,
    terminating: own.filter(isTerminating).length,
    live,
    soonMs: waits.filter((waitMs) => waitMs !== undefined).filter((waitMs) => waitMs > 0),
  };
}

async function scalePods(options: {
  readonly client: KubeClient;
  readonly view: SetView;
  readonly nodeName: string;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { client, view, signal } = options;
  const { set, live } = view;
  const missing = view.replicas - live.length;
  for (let count = 0; count < missing; count++) {
    await client.create(
      kinds.pod,
      {
        metadata: {
          name: `${set.metadata.name}-${suffix()}`,
          namespace: set.metadata.namespace ?? "default",
          labels: { ...set.spec.template?.metadata?.labels },
          annotations: { ...set.spec.template?.metadata?.annotations },
          ownerReferences: [ownerReference("apps/v1", "ReplicaSet", set.metadata)],
        },
        spec: { containers: [], ...set.spec.template?.spec, nodeName: options.nodeName },
      },
      { signal },
    );
  }
  // Those that serve nobody go first, then the youngest.
  const leaving = live
    .toSorted((a, b) => Number(isReady(a)) - Number(isReady(b)) || (created(a) > created(b) ? -1 : 1))
    .slice(0, Math.max(0, -missing));
  for (const pod of leaving) {
    try {
      await client.delete(kinds.pod, refOf(pod.metadata), { signal });
    } catch (error) {
      if (!isKubeError(error, "not-found")) throw error;
    }
  }
}

async function writeSetStatus(client: KubeClient, view: SetView, signal: AbortSignal): Promise<void> {
  const { set } = view;
  const status = {
    ...(set.metadata.generation === undefined ? {} : { observedGeneration: set.metadata.generation }),
    replicas: view.pods,
    fullyLabeledReplicas: view.pods,
    readyReplicas: view.ready,
    availableReplicas: view.available,
  };
  if (JSON.stringify(status) !== JSON.stringify(orderedLike(status, set.status))) {
    await patchStatus(client, kinds.replicaSet, set.metadata, status, signal);
  }
}

type Owner = Pick<ObjectMeta, "name" | "namespace" | "uid">;

async function patchStatus(
  client: KubeClient,
  kind: typeof kinds.deployment | typeof kinds.replicaSet,
  owner: Owner,
  status: unknown,
  signal: AbortSignal,
): Promise<void> {
  const patch = { t: "merge", body: { status } } as const;
  if (kind.kind === "Deployment")
    await client.patch(kinds.deployment, refOf(owner), patch, { subresource: "status", signal });
  else await client.patch(kinds.replicaSet, refOf(owner), patch, { subresource: "status", signal });
}

async function annotate(
  client: KubeClient,
  kind: typeof kinds.deployment | typeof kinds.replicaSet,
  owner: Owner,
  revision: string,
  signal: AbortSignal,
): Promise<void> {
  const patch = { t: "merge", body: { metadata: { annotations: { [revisionKey]: revision } } } } as const;
  if (kind.kind === "Deployment") await client.patch(kinds.deployment, refOf(owner), patch, { signal });
  else await client.patch(kinds.replicaSet, refOf(owner), patch, { signal });
}

/**
 * The hash that names a template: the same fields give the same hash, whatever order they come in.
 * Of the metadata only labels and annotations count: kubectl sends a `creationTimestamp: null` back that it never got.
 */
export function templateHash({ metadata, spec }: PodTemplate): string {
  const labels = Object.entries(metadata?.labels ?? {}).filter(([key]) => key !== hashLabel);
  const plain = { labels: Object.fromEntries(labels), annotations: metadata?.annotations ?? {}, spec };
  const digest = createHash("sha256")
    .update(JSON.stringify(sorted(plain)))
    .digest();
  return spell(digest.subarray(0, 10));
}

function suffix(): string {
  return spell(randomBytes(5));
}

/** Kubernetes' own alphabet for generated names: no vowels, no letters that look like digits. */
function spell(bytes: Uint8Array): string {
  const letters = "bcdfghjklmnpqrstvwxz2456789";
  return Array.from(bytes, (byte) => letters[byte % letters.length]).join("");
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, entry]) => entry !== undefined && entry !== null)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, entry]) => [key, sorted(entry)]),
  );
}

/** The fields of `found` that `wanted` has, in its order: equal as JSON when nothing differs. */
function orderedLike(wanted: unknown, found: unknown): unknown {
  if (Array.isArray(wanted)) {
    return Array.isArray(found) ? found.map((entry: unknown, index) => orderedLike(wanted[index], entry)) : found;
  }
  if (typeof wanted !== "object" || wanted === null || typeof found !== "object" || found === null) return found;
  const fields = new Map<string, unknown>(Object.entries(found));
  return Object.fromEntries(Object.entries(wanted).map(([key, entry]) => [key, orderedLike(entry, fields.get(key))]));
}

function ownerReference(apiVersion: string, kind: string, owner: Owner) {
  return { apiVersion, kind, name: owner.name, uid: owner.uid ?? "", controller: true, blockOwnerDeletion: true };
}

function isOwned(meta: ObjectMeta, owner: Owner): boolean {
  return meta.namespace === owner.namespace && (meta.ownerReferences ?? []).some(({ uid }) => uid === owner.uid);
}

function isDeleted(meta: ObjectMeta): boolean {
  return meta.deletionTimestamp !== undefined;
}

function revisionOf(set: ReplicaSet): number {
  return Number(set.metadata.annotations?.[revisionKey] ?? 0) || 0;
}

function refOf(owner: Owner): { readonly name: string; readonly namespace: string } {
  return { name: owner.name, namespace: owner.namespace ?? "default" };
}

function created(pod: Pod): string {
  return pod.metadata.creationTimestamp ?? "";
}
