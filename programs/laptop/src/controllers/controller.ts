import { createBackoff, joinSignals, type Logger, Scope, sleep, systemClock, type Watch } from "@weft/foundation";

/** How long changes are gathered before a round. */
const gatherMs = 15;
/** A round is run at least so often, whatever was heard. */
const resyncMs = 30_000;

/**
 * Runs `reconcile` after every change of what it depends on, one round at a time, and again after a failure (with back-off) or after the time that it asks for.
 * A round compares all that is wanted with all that is: missing a change, or hearing it twice, does no harm.
 */
export function startController(options: {
  readonly name: string;
  readonly triggers: readonly Watch<unknown>[];
  readonly logger: Logger;
  /** Gives the milliseconds after which it wants to be called again, if it does. */
  readonly reconcile: (signal: AbortSignal) => Promise<number | undefined>;
}): AsyncDisposable {
  const logger = options.logger.child({ controller: options.name });
  const scope = new Scope();
  const backoff = createBackoff({ initialMs: 200, maxMs: 5_000, multiplier: 2, jitter: 0.2 });
  let changed = new AbortController();
  for (const trigger of options.triggers) {
    const subscription = trigger.subscribe(() => changed.abort());
    scope.defer(() => subscription[Symbol.dispose]());
  }
  scope.spawn(async (signal) => {
    while (!signal.aborted) {
      changed = new AbortController();
      let againMs = resyncMs;
      try {
        againMs = Math.min((await options.reconcile(signal)) ?? resyncMs, resyncMs);
        backoff.reset();
      } catch (error) {
        if (signal.aborted) return;
        logger.warn("round failed, trying again", { error });
        againMs = backoff.nextMs();
      }
      {
        using either = joinSignals({ clock: systemClock, signals: [signal, changed.signal] });
        await pause(againMs, either.signal);
      }
      await pause(gatherMs, signal);
    }
  });
  return scope;
}

/** Does the work of one round for each object: one that fails keeps no other from its turn, and fails the round at its end. */
export async function forEach<T>(objects: Iterable<T>, work: (object: T) => Promise<void>): Promise<void> {
  const errors: unknown[] = [];
  for (const object of objects) {
    try {
      await work(object);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, "several objects failed");
}

async function pause(waitMs: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(waitMs, { signal });
  } catch {
    // Something changed, or the end: the loop looks.
  }
}
