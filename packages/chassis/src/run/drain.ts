import { type Clock, type Logger, sleep } from "@weft/foundation";
import type { StopTimes } from "../admin/debug-handler.js";
import type { DrainRequest } from "../chassis.js";

/** One part that takes part in a planned stop. */
export interface DrainPart {
  readonly name: string;
  readonly drain: (request: DrainRequest) => Promise<void>;
}

/** How much longer than the drain time a part may take to end what it had to cut off. */
const graceMs = 500;

/**
 * A planned stop, after readiness was withdrawn: serves on for `delayMs`, then drains every part at once for at most `timeoutMs`.
 * Never rejects: what a part could not do is logged.
 */
export async function drainAll(
  parts: readonly DrainPart[],
  options: { readonly times: StopTimes; readonly clock: Clock; readonly logger: Logger; readonly signal: AbortSignal },
): Promise<void> {
  const { times, clock, logger, signal } = options;
  const over = new AbortController();
  const done = new AbortController();
  const limit = AbortSignal.any([signal, done.signal]);
  try {
    if (times.delayMs > 0) await sleep(times.delayMs, { clock, signal });
    const open = new Set(parts.map((part) => part.name));
    const drains = parts.map(async (part) => {
      try {
        await part.drain({ timeoutMs: times.timeoutMs, signal: over.signal });
      } catch (error) {
        logger.error("a part did not drain", { part: part.name, error });
      }
      open.delete(part.name);
    });
    const late = sleep(times.timeoutMs, { clock, signal: limit })
      .then(() => over.abort())
      .then(() => sleep(graceMs, { clock, signal: limit }))
      .then(() => logger.warn("the drain took too long: going on without", { parts: [...open] }));
    await Promise.race([Promise.all(drains), late]);
  } catch {
    // Told to hurry: the process is going down anyway.
  } finally {
    done.abort();
  }
}
