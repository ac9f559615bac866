/** Who waits for a signal, behind the one listener that it has. */
interface Waiting {
  readonly entries: Set<(reason: unknown) => void>;
  readonly onAbort: () => void;
}

const waiting = new WeakMap<AbortSignal, Waiting>();

/**
 * Calls `listener` once when the signal aborts, with its reason; at once when it has. Dispose when the work is over.
 * However many wait, the signal has one listener of ours: it may be a caller's, and live as long as the process, and Node warns of the eleventh.
 * With the last who waits that goes too: a signal that somebody listens to is not collected.
 */
export function whenAborted(signal: AbortSignal, listener: (reason: unknown) => void): Disposable {
  if (signal.aborted) {
    listener(signal.reason);
    return { [Symbol.dispose]() {} };
  }
  const { entries, onAbort } = waiting.get(signal) ?? listenTo(signal);
  // Wrapped, so that one function that waits twice counts twice.
  const entry = (reason: unknown): void => listener(reason);
  entries.add(entry);
  return {
    [Symbol.dispose]() {
      if (!entries.delete(entry) || entries.size > 0) return;
      signal.removeEventListener("abort", onAbort);
      if (waiting.get(signal)?.entries === entries) waiting.delete(signal);
    },
  };
}

function listenTo(signal: AbortSignal): Waiting {
  const entries = new Set<(reason: unknown) => void>();
  const onAbort = (): void => tell(entries, signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const made = { entries, onAbort };
  waiting.set(signal, made);
  return made;
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
