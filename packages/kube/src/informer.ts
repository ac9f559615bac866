import {
  type Backoff,
  type BackoffPolicy,
  type Clock,
  createBackoff,
  type Logger,
  Scope,
  silentLogger,
  sleep,
  systemClock,
  type Watch,
  WatchSource,
} from "@weft/foundation";
import type { WatchEvent } from "./answers.js";
import type { KubeClient, Selection } from "./client.js";
import { isKubeError } from "./error.js";
import { type Kind, type KubeObject, keyOf } from "./object.js";

/** What is known of one selection of objects, kept up to date. */
export interface Informer<T extends KubeObject> extends AsyncDisposable {
  /** The objects by `namespace/name` (`name` for cluster-wide kinds). Each value is a new map; empty until synced. */
  readonly objects: Watch<ReadonlyMap<string, T>>;
  /** True once the first list has been read, and from then on. */
  readonly synced: Watch<boolean>;
  /** False while there is no watch: after the server refused or dropped one, until it takes another. The end of a watch in due time is no break. */
  readonly following: Watch<boolean>;
  /** The version that {@link objects} is at; `""` until synced. Bookmarks move it on without a change of objects. */
  readonly resourceVersion: string;
}

export interface InformerOptions<T extends KubeObject> extends Selection {
  readonly client: KubeClient;
  readonly kind: Kind<T>;
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly random?: () => number;
  /** What is kept of each object: less, where there are many and few of their fields are read. Default: all. */
  readonly trim?: (object: T) => T;
  /** Waits between failed attempts. Default 200 ms growing to 10 s. */
  readonly backoff?: BackoffPolicy;
  /** A watch on which nothing arrives for so long, its end neither, is taken for dead. Default 90 s: longer than any watch should last. */
  readonly silenceMs?: number;
  /** Each watch ends after about this long and goes on in a new one: of a kind that nothing happens to, a server has nothing else to say. Default 60 s. */
  readonly watchSeconds?: number;
}

const pageSize = 500;
const defaultBackoff: BackoffPolicy = { initialMs: 200, maxMs: 10_000, multiplier: 2, jitter: 0.2 };

/**
 * Lists, then watches, for as long as it lives:
 *
 *   listing --list read--> watching --stream ends or drops--> watching again from the last version
 *      ^                      |
 *      +---- 410, too old ----+        an error waits (back-off) before the next attempt
 *
 * What was known stays visible whatever happens to the connection: a new list replaces the old map in one step.
 */
export function startInformer<T extends KubeObject>(options: InformerOptions<T>): Informer<T> {
  const { client, kind } = options;
  const clock = options.clock ?? systemClock;
  const logger = (options.logger ?? silentLogger).child({ component: "informer", kind: kind.plural });
  const backoff = createBackoff(options.backoff ?? defaultBackoff, options.random);
  const random = options.random ?? Math.random;
  const trim = options.trim ?? ((object: T) => object);
  const objects = new WatchSource<ReadonlyMap<string, T>>(new Map());
  const synced = new WatchSource(false);
  const following = new WatchSource(false);
  let resourceVersion = "";
  const selection: Selection = {
    ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
    ...(options.labelSelector === undefined ? {} : { labelSelector: options.labelSelector }),
    ...(options.fieldSelector === undefined ? {} : { fieldSelector: options.fieldSelector }),
  };

  const relist = async (signal: AbortSignal): Promise<void> => {
    const found = new Map<string, T>();
    let continueToken: string | undefined;
    let version = "";
    do {
      const page = await client.list(kind, {
        ...selection,
        limit: pageSize,
        ...(continueToken === undefined ? {} : { continueToken }),
        signal,
      });
      for (const item of page.items) found.set(keyOf(item.metadata), trim(item));
      for (const bad of page.unreadable) logger.warn("object left out: it does not fit its kind", { ...bad });
      continueToken = page.continueToken;
      version = page.resourceVersion;
    } while (continueToken !== undefined);
    resourceVersion = version;
    objects.set(found);
    synced.set(true);
  };

  const apply = (events: readonly WatchEvent<T>[]): void => {
    let next: Map<string, T> | undefined;
    for (const event of events) {
      if (event.resourceVersion !== "") resourceVersion = event.resourceVersion;
      if (event.t === "bookmark") continue;
      next ??= new Map(objects.value);
      if (event.t === "unreadable") {
        logger.warn("object left out: it does not fit its kind", { ref: event.ref, error: event.error });
        next.delete(keyOf(event.ref));
      } else if (event.t === "deleted") next.delete(keyOf(event.object.metadata));
      else next.set(keyOf(event.object.metadata), trim(event.object));
    }
    if (next !== undefined) objects.set(next);
  };

  const follow = async (signal: AbortSignal): Promise<void> => {
    const watchSeconds = Math.ceil((options.watchSeconds ?? 60) * (1 + 0.2 * random()));
    const events = client.watchBatches(kind, {
      ...selection,
      resourceVersion,
      timeoutSeconds: watchSeconds,
      silenceMs: options.silenceMs ?? 90_000,
      onOpen: () => following.set(true),
      signal,
    });
    for await (const batch of events) {
      backoff.reset();
      apply(batch);
    }
  };

  const run = async (signal: AbortSignal): Promise<void> => {
    let listed = false;
    while (!signal.aborted) {
      const startMs = clock.nowMs();
      try {
        if (!listed) {
          await relist(signal);
          listed = true;
          backoff.reset();
        }
        await follow(signal);
        // A server that ends each watch at once must not be asked in a tight loop.
        if (clock.nowMs() - startMs < 1_000) await pause(backoff, { clock, signal });
      } catch (error) {
        if (signal.aborted) return;
        following.set(false);
        if (isKubeError(error, "gone")) {
          logger.info("version too old, listing again", { resourceVersion });
          listed = false;
        } else {
          logger.warn("watch failed, trying again", { error, synced: synced.value });
        }
        await pause(backoff, { clock, signal, atLeastMs: isKubeError(error) ? error.retryAfterMs : undefined });
      }
    }
  };

  const scope = new Scope();
  scope.spawn(run);
  return {
    objects,
    synced,
    following,
    get resourceVersion() {
      return resourceVersion;
    },
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}

async function pause(
  backoff: Backoff,
  options: { readonly clock: Clock; readonly signal: AbortSignal; readonly atLeastMs?: number | undefined },
): Promise<void> {
  try {
    await sleep(Math.max(backoff.nextMs(), options.atLeastMs ?? 0), options);
  } catch {
    // Aborted: the caller's loop sees the signal and ends.
  }
}
