import { setMaxListeners } from "node:events";
import type { Duplex, Readable } from "node:stream";
import { Scope, sleep } from "@weft/foundation";
import { type Informer, isKubeError, type KubeClient, keyOf, kinds, type Pod, type PodStatus } from "@weft/kube";
import { type PodAccess, type PodIdentity, type PodLogRequest, PodUnavailable } from "../pod-access.js";
import type { AddressBlock } from "./address-block.js";
import { timestamp } from "./container-worker.js";
import { type PodMachine, PodWorker } from "./pod-worker.js";

/** Statuses that change in quick succession are written once. */
const statusDelayMs = 20;
const retryMs = 500;
const waitingRetryMs = 1_000;

/** Runs the Pods of the API on this machine. */
export interface Kubelet extends AsyncDisposable {
  readonly access: PodAccess;
  /** Rejects when the kubelet itself fails: Pods would run on without anybody looking after them. */
  readonly failed: Promise<never>;
  /**
   * Ends every Pod at once, those that `last` accepts after all others; each gets at most `graceMs`. New Pods are not started any more.
   */
  stopAll(options: { readonly graceMs: number; readonly last: (pod: Pod) => boolean }): Promise<void>;
}

interface Entry {
  readonly worker: PodWorker;
  readonly uid: string;
  pod: Pod;
  written: PodStatus | undefined;
  dirty: boolean;
  writing: Promise<void> | undefined;
  ending: Promise<void> | undefined;
}

/** Starts the kubelet: from now on what the Pods' informer shows is what runs. */
export function startKubelet(options: {
  readonly client: KubeClient;
  readonly pods: Informer<Pod>;
  readonly machine: PodMachine;
  readonly addresses: AddressBlock;
}): Kubelet {
  const { client, pods, machine, addresses } = options;
  const entries = new Map<string, Entry>();
  /** Pods that could not be begun, and why. */
  const waiting = new Map<string, string>();
  const scope = new Scope();
  // Every Pod waits on it now and then.
  setMaxListeners(0, scope.signal);
  let stopping = false;

  const reconcile = (wanted: ReadonlyMap<string, Pod>): void => {
    for (const [uid, entry] of entries) {
      // Gone from the API without a farewell: its process goes at once.
      if (!wanted.has(uid) && entry.ending === undefined) end(entry, 0);
    }
    for (const [uid, pod] of wanted) {
      const entry = entries.get(uid);
      if (entry !== undefined) {
        entry.pod = pod;
        entry.worker.update(pod);
        if (pod.metadata.deletionTimestamp !== undefined && entry.ending === undefined) {
          end(entry, (pod.metadata.deletionGracePeriodSeconds ?? 30) * 1_000);
        }
      } else if (pod.metadata.deletionTimestamp !== undefined) {
        scope.spawn(() => removeObject(pod));
      } else if (!stopping && !isFinished(pod)) {
        tryToBegin(uid, pod);
      }
    }
  };

  /** A Pod that can't be begun (no address is free, the disk is full) waits and says why; it keeps no other from its turn. */
  const tryToBegin = (uid: string, pod: Pod): void => {
    try {
      begin(uid, pod);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (waiting.get(uid) === message) return;
      waiting.set(uid, message);
      machine.logger.warn("pod not begun, trying again", { pod: keyOf(pod.metadata), error });
      scope.spawn(() => record(pod, { type: "Warning", reason: "FailedCreatePodSandBox", message }));
      scope.spawn(() => writeWaiting(pod, message));
    }
  };

  /** Looks again at the Pods that wait. */
  const lookAgain = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      await pause(waitingRetryMs, signal);
      for (const uid of waiting.keys()) if (entries.has(uid)) waiting.delete(uid);
      if (waiting.size === 0 || stopping || signal.aborted) continue;
      const wanted = byUid(pods.objects.value);
      for (const uid of waiting.keys()) if (!wanted.has(uid)) waiting.delete(uid);
      reconcile(wanted);
    }
  };

  const writeWaiting = async (pod: Pod, message: string): Promise<void> => {
    const condition = { type: "Ready", status: "False", reason: "NotBegun", message, lastTransitionTime: timestamp() };
    const body = { metadata: { uid: pod.metadata.uid ?? "" }, status: { phase: "Pending", conditions: [condition] } };
    try {
      await client.patch(kinds.pod, refOf(pod), { t: "merge", body }, { subresource: "status" });
    } catch (error) {
      machine.logger.debug("pod status not written", { error });
    }
  };

  const begin = (uid: string, pod: Pod): void => {
    const podIP = addresses.allocate();
    try {
      const worker = new PodWorker({
        pod,
        podIP,
        machine,
        events: {
          statusChanged: () => markDirty(entry),
          event: (type, reason, message) => scope.spawn(() => record(entry.pod, { type, reason, message })),
        },
      });
      const entry: Entry = {
        worker,
        uid,
        pod,
        ...{ written: pod.status, dirty: false },
        writing: undefined,
        ending: undefined,
      };
      worker.start();
      entries.set(uid, entry);
      markDirty(entry);
    } catch (error) {
      addresses.free(podIP);
      throw error;
    }
  };

  const end = (entry: Entry, graceMs: number): void => {
    entry.ending = (async () => {
      await entry.worker.stop(graceMs);
      await entry.writing;
      await removeObject(entry.pod);
      entry.worker.forget();
      entries.delete(entry.uid);
      addresses.free(entry.worker.podIP);
    })();
    scope.spawn(async () => entry.ending);
  };

  const markDirty = (entry: Entry): void => {
    entry.dirty = true;
    if (entry.writing !== undefined || scope.signal.aborted) return;
    entry.writing = write(entry).finally(() => {
      entry.writing = undefined;
      if (entry.dirty) markDirty(entry);
    });
    scope.spawn(async () => entry.writing);
  };

  const write = async (entry: Entry): Promise<void> => {
    await pause(statusDelayMs, scope.signal);
    entry.dirty = false;
    const status = entry.worker.status(entry.written);
    try {
      await client.patch(
        kinds.pod,
        refOf(entry.pod),
        { t: "merge", body: { metadata: { uid: entry.uid }, status } },
        { subresource: "status" },
      );
      entry.written = status;
    } catch (error) {
      if (isKubeError(error, "not-found") || isKubeError(error, "conflict")) return;
      machine.logger.warn("pod status not written, trying again", { pod: keyOf(entry.pod.metadata), error });
      await pause(retryMs, scope.signal);
      entry.dirty = !scope.signal.aborted;
    }
  };

  const removeObject = async (pod: Pod): Promise<void> => {
    const { uid } = pod.metadata;
    while (!scope.signal.aborted) {
      try {
        await client.delete(kinds.pod, refOf(pod), {
          gracePeriodSeconds: 0,
          ...(uid === undefined ? {} : { preconditions: { uid } }),
        });
        return;
      } catch (error) {
        if (isKubeError(error, "not-found") || isKubeError(error, "conflict")) return;
        machine.logger.warn("pod not removed, trying again", { pod: keyOf(pod.metadata), error });
        await pause(retryMs, scope.signal);
      }
    }
  };

  const record = async (
    pod: Pod,
    what: { type: "Normal" | "Warning"; reason: string; message: string },
  ): Promise<void> => {
    const { name, namespace = "default", uid } = pod.metadata;
    const now = timestamp();
    try {
      await client.create(kinds.event, {
        metadata: { generateName: `${name}.`, namespace },
        involvedObject: { apiVersion: "v1", kind: "Pod", name, namespace, ...(uid === undefined ? {} : { uid }) },
        ...what,
        source: { component: "kubelet", host: machine.nodeName },
        count: 1,
        firstTimestamp: now,
        lastTimestamp: now,
      });
    } catch (error) {
      machine.logger.debug("event not recorded", { error });
    }
  };

  const find = (pod: PodIdentity): PodWorker => {
    const entry = entries.get(pod.uid);
    if (entry === undefined) throw new PodUnavailable(`pod "${pod.name}" does not run`);
    return entry.worker;
  };

  const subscription = pods.objects.subscribe((objects) => reconcile(byUid(objects)));
  scope.defer(() => subscription[Symbol.dispose]());
  if (pods.synced.value) reconcile(byUid(pods.objects.value));
  scope.spawn(lookAgain);

  return {
    failed: scope.failed,
    access: {
      async logs(pod: PodIdentity, request: PodLogRequest): Promise<Readable> {
        return find(pod).logs(request);
      },
      async connect(pod: PodIdentity, port: number, signal: AbortSignal): Promise<Duplex> {
        return find(pod).connect(port, signal);
      },
    },
    async stopAll({ graceMs, last }) {
      stopping = true;
      const all = [...entries.values()];
      const stop = async (some: readonly Entry[]): Promise<void> => {
        await Promise.all(some.map(({ worker }) => worker.stop(graceMs)));
      };
      await stop(all.filter(({ pod }) => !last(pod)));
      await stop(all.filter(({ pod }) => last(pod)));
    },
    async [Symbol.asyncDispose]() {
      stopping = true;
      await Promise.all([...entries.values()].map(({ worker }) => worker.stop(0)));
      await scope[Symbol.asyncDispose]();
    },
  };
}

function byUid(objects: ReadonlyMap<string, Pod>): ReadonlyMap<string, Pod> {
  return new Map([...objects.values()].map((pod) => [pod.metadata.uid ?? keyOf(pod.metadata), pod]));
}

function isFinished(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

function refOf(pod: Pod): { readonly name: string; readonly namespace: string } {
  return { name: pod.metadata.name, namespace: pod.metadata.namespace ?? "default" };
}

async function pause(waitMs: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(waitMs, { signal });
  } catch {
    // Aborted: the caller looks at the signal.
  }
}
