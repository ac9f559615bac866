import { ConnectError } from "@connectrpc/connect";
import { type Clock, deadlineIn, joinSignals } from "@weft/foundation";
import type { CallBounds } from "@weft/store";

/** How long a caller without a deadline waits for an outcome. */
const defaultWaitMs = 10_000;
/** What is kept of the caller's time for the answer's way back: a fifth, and no more than this. */
const mostReserveMs = 500;

/** How long to wait for an outcome on behalf of a caller. */
export function waitMsOf(bounds: CallBounds): number {
  const leftMs = bounds.timeoutMs?.();
  if (leftMs === undefined) return defaultWaitMs;
  return Math.max(0, leftMs - Math.min(mostReserveMs, leftMs / 5));
}

/** The outcome, or nothing when it does not come while the caller waits. */
export async function withinPatience<T>(
  bounds: CallBounds,
  clock: Clock,
  work: (bounds: { readonly signal: AbortSignal }) => Promise<T>,
): Promise<T | undefined> {
  using joined = joinSignals({
    clock,
    deadline: deadlineIn(waitMsOf(bounds), clock),
    signals: [bounds.signal],
  });
  const { signal } = joined;
  try {
    return await work({ signal });
  } catch (error) {
    if (bounds.signal?.aborted === true) throw ConnectError.from(bounds.signal.reason);
    if (signal.aborted) return undefined;
    throw error;
  }
}
