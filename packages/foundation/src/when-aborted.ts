/** Who waits for each signal. A signal forgets its entry when nobody waits any more. */
const waiting = new WeakMap<AbortSignal, Set<(reason: unknown) => void>>();

/**
 * Calls `listener` once when the signal aborts, with its reason; at once when it has. Dispose when the work is over.
 * However many wait, the signal has one listener of ours: it may be a caller's, and live as long as the process, and Node warns of the eleventh.
 */
export function whenAborted(signal: AbortSignal, listener: (reason: unknown) => void): Disposable {
  if (signal.aborted) {
    listener(signal.reason);
    return { [Symbol.dispose]() {} };
  }
  const set = waiting.get(signal) ?? listenTo(signal);
  // Wrapped, so that one function that waits twice counts twice.
  const entry = (reason: unknown): void => listener(reason);
  set.add(entry);
  return { [Symbol.dispose]: () => void set.delete(entry) };
}

function listenTo(signal: AbortSignal): Set<(reason: unknown) => void> {
  const set = new Set<(reason: unknown) => void>();
  waiting.set(signal, set);
  // Stays for the life of the signal: adding and removing it for each who waits would cost more than keeping one.
  signal.addEventListener("abort", () => tell(set, signal.reason), { once: true });
  return set;
}

/** Those who leave while others are told are not told any more; one that throws keeps none from being told. */
function tell(set: Set<(reason: unknown) => void>, reason: unknown): void {
  for (const entry of [...set]) {
    if (!set.delete(entry)) continue;
    try {
      entry(reason);
    } catch (error) {
      // As with any listener of an event: it is a fault of the process, not of whoever aborted.
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
