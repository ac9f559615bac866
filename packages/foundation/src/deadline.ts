import type { Clock, Timer } from "./clock.js";
import { whenAborted } from "./when-aborted.js";

/** A point in monotonic time (see {@link Clock.nowMs}) after which the work is of no use; `undefined` means never. */
export type Deadline = number | undefined;

/** The deadline `timeoutMs` milliseconds from now; `undefined` gives none. */
export function deadlineIn(timeoutMs: number | undefined, clock: Clock): Deadline {
  return timeoutMs === undefined ? undefined : clock.nowMs() + timeoutMs;
}

/** The sooner of two deadlines. */
export function soonerOf(a: Deadline, b: Deadline): Deadline {
  if (a === undefined) return b;
  if (b === undefined) return a;
  return Math.min(a, b);
}

/** Milliseconds left, not below 0; `undefined` when there is no deadline. */
export function remainingMs(deadline: Deadline, clock: Clock): number | undefined {
  return deadline === undefined ? undefined : Math.max(0, deadline - clock.nowMs());
}

/** Why a signal made by {@link joinSignals} aborted, when it was the deadline. */
export class DeadlineExceeded extends Error {
  override readonly name = "DeadlineExceeded";
  constructor() {
    super("deadline exceeded");
  }
}

/** A signal and what must be undone when the work is over. */
export interface JoinedSignal extends Disposable {
  readonly signal: AbortSignal;
}

/**
 * The one place where deadline, caller and shutdown become one signal.
 * It aborts with the reason of whichever signal is first, or with {@link DeadlineExceeded}.
 * Dispose when the work is over: the timer is cleared and every listener removed.
 */
export function joinSignals(options: {
  readonly clock: Clock;
  readonly deadline?: Deadline;
  readonly signals: readonly (AbortSignal | undefined)[];
}): JoinedSignal {
  const controller = new AbortController();
  const waits: Disposable[] = [];
  let timer: Timer | undefined;
  const release = (): void => {
    timer?.[Symbol.dispose]();
    timer = undefined;
    for (const wait of waits.splice(0)) wait[Symbol.dispose]();
  };
  const end = (reason: unknown): void => {
    release();
    controller.abort(reason);
  };
  for (const source of options.signals) {
    if (source === undefined) continue;
    if (source.aborted) {
      end(source.reason);
      break;
    }
    waits.push(whenAborted(source, end));
  }
  const leftMs = remainingMs(options.deadline, options.clock);
  if (leftMs !== undefined && !controller.signal.aborted) {
    if (leftMs === 0) end(new DeadlineExceeded());
    else timer = options.clock.after(leftMs, () => end(new DeadlineExceeded()));
  }
  return { signal: controller.signal, [Symbol.dispose]: release };
}
