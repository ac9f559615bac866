import { type Clock, createBackoff, type Logger, sleep } from "@weft/foundation";
import { type Informer, type Kind, type KubeClient, type KubeObject, kinds, startInformer } from "@weft/kube";
import { routeKey, serviceKey } from "../model/keys.js";
import { fromEndpointSlice, fromGrpcRoute, fromNode, fromReferenceGrant, fromService } from "./from-kube.js";
import type { Change, Source, SourceSink } from "./source.js";

export interface KubeSourceOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How an object of a kind becomes a change; without the object it is gone. */
type Translate<T> = (key: string, object: T | undefined) => Change;

/** What was missed while a watch was broken has arrived so long after it is taken up again. */
const catchUpMs = 1_000;

const clusterIdBackoff = { initialMs: 200, maxMs: 5_000, multiplier: 2, jitter: 0.2 };

/** The Kubernetes API as a source: one informer for each kind. */
export function createKubeSource(options: KubeSourceOptions): Source {
  const { client, clock, logger } = options;
  const informers: Informer<KubeObject>[] = [];
  const names = new Map<Informer<KubeObject>, string>();
  const subscriptions: Disposable[] = [];
  /** When a watch that had been broken was taken up again. */
  const resumedMs = new Map<Informer<KubeObject>, number>();
  let wholeVersion: bigint | undefined;

  const isCaughtUp = (informer: Informer<KubeObject>): boolean =>
    informer.following.value && clock.nowMs() - (resumedMs.get(informer) ?? Number.NEGATIVE_INFINITY) >= catchUpMs;

  /** With a watch broken, what it would tell may be older than all else: then no higher version is claimed (docs/decisions/0011). */
  const version = (): bigint => {
    const isWhole = informers.every(isCaughtUp);
    if (wholeVersion !== undefined && !isWhole) return wholeVersion;
    let highest = 0n;
    for (const { resourceVersion } of informers) {
      // Opaque by the letter, decimal and comparable in every Kubernetes that there is (KEP-5504 makes it a promise).
      const each = /^\d+$/.test(resourceVersion) ? BigInt(resourceVersion) : 0n;
      if (each > highest) highest = each;
    }
    if (isWhole) wholeVersion = highest;
    return highest;
  };

  const follow = <T extends KubeObject>(kind: Kind<T>, translate: Translate<T>, sink: SourceSink): void => {
    const informer = startInformer<T>({ client, kind, clock, logger });
    informers.push(informer);
    names.set(informer, kind.plural);
    // One object that can't be read must not stop all others.
    const safely = (key: string, object: T | undefined): readonly Change[] => {
      try {
        return [translate(key, object)];
      } catch (error) {
        logger.error("object left out: it can't be understood", { kind: kind.plural, key, error });
        return [];
      }
    };
    let known: ReadonlyMap<string, T> = new Map();
    subscriptions.push(
      informer.objects.subscribe((objects) => {
        const changes = differences(known, objects).flatMap((key) => safely(key, objects.get(key)));
        known = objects;
        if (changes.length > 0) sink.changed(changes);
      }),
      informer.following.subscribe((isFollowing) => {
        if (isFollowing && wholeVersion !== undefined) resumedMs.set(informer, clock.nowMs());
        // From the first moment on that all of them hold there is a version to stay at.
        version();
      }),
      informer.synced.subscribe(() => {
        if (informers.every((each) => each.synced.value)) sink.synced();
        else sink.changed([]);
      }),
    );
  };

  return {
    async clusterId(signal) {
      const backoff = createBackoff(clusterIdBackoff);
      for (;;) {
        try {
          const { metadata } = await client.get(kinds.namespace, { name: "kube-system" }, { signal });
          if (metadata.uid !== undefined) return metadata.uid;
          logger.warn("namespace kube-system has no uid");
        } catch (error) {
          if (signal.aborted) throw error;
          logger.warn("cluster identity is not known yet", { error });
        }
        await sleep(backoff.nextMs(), { clock, signal });
      }
    },
    version,
    waitingFor: () => informers.filter(({ synced }) => !synced.value).map((informer) => names.get(informer) ?? ""),
    start(sink) {
      follow(kinds.node, (key, object) => ({ kind: "node", key, value: object && fromNode(object) }), sink);
      follow(
        kinds.service,
        (key, object) => ({ kind: "service", key: serviceKey(...split(key)), value: object && fromService(object) }),
        sink,
      );
      follow(
        kinds.endpointSlice,
        (key, object) => ({ kind: "endpoints", key, value: object && fromEndpointSlice(object) }),
        sink,
      );
      follow(
        kinds.grpcRoute,
        (key, object) => ({ kind: "route", key: routeKey(...split(key)), value: object && fromGrpcRoute(object) }),
        sink,
      );
      follow(
        kinds.referenceGrant,
        (key, object) => ({ kind: "grant", key, value: object && fromReferenceGrant(object) }),
        sink,
      );
    },
    async [Symbol.asyncDispose]() {
      for (const subscription of subscriptions) subscription[Symbol.dispose]();
      await Promise.all(informers.map((informer) => informer[Symbol.asyncDispose]()));
    },
  };
}

/** Keys whose objects are new, gone, or of another version. */
function differences<T extends KubeObject>(before: ReadonlyMap<string, T>, after: ReadonlyMap<string, T>): string[] {
  const keys: string[] = [];
  for (const [key, object] of after) {
    const old = before.get(key);
    if (old === object) continue;
    const version = object.metadata.resourceVersion;
    if (old === undefined || version === undefined || old.metadata.resourceVersion !== version) keys.push(key);
  }
  for (const key of before.keys()) if (!after.has(key)) keys.push(key);
  return keys;
}

function split(key: string): [namespace: string, name: string] {
  const slash = key.indexOf("/");
  return [key.slice(0, slash), key.slice(slash + 1)];
}
