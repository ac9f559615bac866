import { type Clock, createBackoff, type Logger, Scope, sleep, type Watch } from "@weft/foundation";
import { type GrpcRoute, isKubeError, type KubeClient, kinds } from "@weft/kube";
import { keyParts, type RouteKey } from "../model/keys.js";
import type { ParentOutcome } from "../model/outcome.js";
import { parentsWith } from "./route-conditions.js";
import type { StatusSink } from "./status-sink.js";

export interface KubeStatusWriterOptions {
  readonly client: KubeClient;
  /** True while this process is the one that writes. */
  readonly leading: Watch<boolean>;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Wanted {
  readonly outcomes: readonly ParentOutcome[];
  readonly generation: number;
}

const retryBackoff = { initialMs: 100, maxMs: 10_000, multiplier: 2, jitter: 0.3 };

/** The time in which this process is the one that writes. */
interface Term {
  readonly due: Map<RouteKey, Wanted>;
  readonly abort: AbortController;
  wake: () => void;
}

/**
 * Writes what became of routes into their status, one route after another, the newest word of each only.
 * Every replica knows all of it; the one that leads writes, and begins with what its predecessor may have left undone.
 */
export function createKubeStatusWriter(options: KubeStatusWriterOptions): StatusSink & AsyncDisposable {
  const { client, clock, leading } = options;
  const logger = options.logger.child({ component: "route-status" });
  const known = new Map<RouteKey, Wanted>();
  const scope = new Scope();
  let term: Term | undefined;

  const write = async (key: RouteKey, { outcomes, generation }: Wanted, signal: AbortSignal): Promise<void> => {
    const route = await client.get(kinds.grpcRoute, keyParts(key), { signal });
    // Of another generation than was judged: its own judgement is on the way.
    if ((route.metadata.generation ?? 0) !== generation) return;
    const nowIso = new Date(clock.wallMs()).toISOString().replace(/\.\d+Z$/, "Z");
    const parents = parentsWith(route.status?.parents ?? [], outcomes, { generation, nowIso });
    if (parents === undefined) return;
    const next: GrpcRoute = { ...route, status: { ...route.status, parents } };
    await client.replaceStatus(kinds.grpcRoute, next, { signal, fieldManager: "weft-control-plane" });
    logger.info("route status written", { route: key, accepted: outcomes.every(({ accepted }) => accepted.ok) });
  };

  const run = async ({ due, abort: { signal } }: Term, sleeping: (wake: () => void) => void): Promise<void> => {
    const backoff = createBackoff(retryBackoff);
    while (!signal.aborted) {
      const next = due.entries().next();
      if (next.done === true) {
        await new Promise<void>((resolve) => sleeping(resolve));
        continue;
      }
      const [key, want] = next.value;
      due.delete(key);
      try {
        await write(key, want, signal);
        backoff.reset();
      } catch (error) {
        if (signal.aborted) return;
        if (isKubeError(error, "not-found")) continue;
        // Written by somebody else in between (409): read and compare again. Newer words that came meanwhile count.
        if (!due.has(key)) due.set(key, want);
        if (isKubeError(error, "conflict")) continue;
        logger.warn("route status could not be written, trying again", { route: key, error });
        await sleep(backoff.nextMs(), { clock, signal }).catch(() => {
          // The term is over: the loop sees it.
        });
      }
    }
  };

  const begin = (): void => {
    const next: Term = { due: new Map(known), abort: new AbortController(), wake() {} };
    term = next;
    scope.spawn(() =>
      run(next, (wake) => {
        next.wake = wake;
      }),
    );
  };
  const end = (): void => {
    const last = term;
    term = undefined;
    last?.abort.abort();
    last?.wake();
  };

  if (leading.value) begin();
  const following = leading.subscribe((isLeading) => {
    end();
    if (isLeading) begin();
  });

  return {
    report(key, outcomes, seen) {
      const want = { outcomes, generation: seen.generation };
      known.set(key, want);
      term?.due.set(key, want);
      term?.wake();
    },
    forget(key) {
      known.delete(key);
      term?.due.delete(key);
    },
    async [Symbol.asyncDispose]() {
      following[Symbol.dispose]();
      end();
      await scope[Symbol.asyncDispose]();
    },
  };
}
