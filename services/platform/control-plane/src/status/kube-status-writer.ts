import { type Clock, createBackoff, type Logger, Scope, sleep } from "@weft/foundation";
import { type GrpcRoute, isKubeError, type KubeClient, kinds } from "@weft/kube";
import { keyParts, type RouteKey } from "../model/keys.js";
import type { ParentOutcome } from "../model/outcome.js";
import type { MeshRoute } from "../model/route.js";
import { parentsWith } from "./route-conditions.js";
import type { StatusSink } from "./status-sink.js";

export interface KubeStatusWriterOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Wanted {
  readonly outcomes: readonly ParentOutcome[];
  readonly generation: number;
}

const retryBackoff = { initialMs: 100, maxMs: 10_000, multiplier: 2, jitter: 0.3 };

/**
 * Writes what became of routes into their status, one route after another, the newest word of each only.
 * Replicas write the same; who comes second finds nothing to change.
 */
export function createKubeStatusWriter(options: KubeStatusWriterOptions): StatusSink & AsyncDisposable {
  const { client, clock } = options;
  const logger = options.logger.child({ component: "route-status" });
  const wanted = new Map<RouteKey, Wanted>();
  const scope = new Scope();
  let wake: () => void = () => {};

  /** Reads, compares, writes; true when nothing is left to do for this route. */
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

  const run = async (signal: AbortSignal): Promise<void> => {
    const backoff = createBackoff(retryBackoff);
    while (!signal.aborted) {
      const next = wanted.entries().next();
      if (next.done === true) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (signal.aborted) resolve();
        });
        continue;
      }
      const [key, want] = next.value;
      wanted.delete(key);
      try {
        await write(key, want, signal);
        backoff.reset();
      } catch (error) {
        if (signal.aborted) return;
        if (isKubeError(error, "not-found")) continue;
        // Written by somebody else in between (409): read and compare again. Newer words that came meanwhile count.
        if (!wanted.has(key)) wanted.set(key, want);
        if (isKubeError(error, "conflict")) continue;
        logger.warn("route status could not be written, trying again", { route: key, error });
        await sleep(backoff.nextMs(), { clock, signal });
      }
    }
  };

  scope.signal.addEventListener("abort", () => wake(), { once: true });
  scope.spawn(run);

  return {
    report(key: RouteKey, outcomes: readonly ParentOutcome[], seen: MeshRoute) {
      wanted.set(key, { outcomes, generation: seen.generation });
      wake();
    },
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}
