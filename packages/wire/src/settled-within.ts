import type { Clock, Watch } from "@weft/foundation";

/** Waits until the value is as it is wanted, or the time is over: what is still open then is the caller's to end. */
export async function settledWithin<T>(
  watch: Watch<T>,
  isSettled: (value: T) => boolean,
  options: { readonly timeoutMs: number; readonly clock: Clock },
): Promise<void> {
  if (isSettled(watch.value)) return;
  const over = new AbortController();
  using _timer = options.clock.after(options.timeoutMs, () => over.abort());
  for await (const value of watch.changes(over.signal)) if (isSettled(value)) return;
}
