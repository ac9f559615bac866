import { whenAborted } from "./when-aborted.js";

/** A timer that can be called off. Disposing it twice is harmless. */
export interface Timer extends Disposable {
  /** Lets the process end while the timer is pending. */
  unref(): void;
}

/** Where time comes from. Everything that waits takes one, so that tests decide what time it is. */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary start; never goes back. */
  nowMs(): number;
  /** Wall-clock milliseconds since the Unix epoch; may jump. */
  wallMs(): number;
  /** Calls `fire` once, not before `delayMs` milliseconds from now. */
  after(delayMs: number, fire: () => void): Timer;
}

/** The longest delay that `setTimeout` takes; longer ones are chained. */
const maxDelayMs = 2_147_483_647;

/** The clock of the machine. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, fire) {
    let left = Math.max(0, delayMs);
    let referenced = true;
    let handle: NodeJS.Timeout;
    const arm = (): void => {
      const step = Math.min(left, maxDelayMs);
      left -= step;
      handle = setTimeout(() => (left > 0 ? arm() : fire()), step);
      if (!referenced) handle.unref();
    };
    arm();
    return {
      unref() {
        referenced = false;
        handle.unref();
      },
      [Symbol.dispose]() {
        clearTimeout(handle);
      },
    };
  },
};

/**
 * Waits `delayMs` milliseconds by the given clock.
 * Rejects with the signal's reason as soon as it aborts; no timer or listener stays behind on any path.
 */
export function sleep(
  delayMs: number,
  options: { readonly clock?: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const { clock = systemClock, signal } = options;
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const timer = clock.after(delayMs, () => {
      waiting[Symbol.dispose]();
      resolve();
    });
    const waiting = whenAborted(signal, (reason) => {
      timer[Symbol.dispose]();
      reject(reason);
    });
  });
}
