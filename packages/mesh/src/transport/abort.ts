import { ConnectError } from "@connectrpc/connect";
import { DeadlineExceeded } from "@weft/foundation";
import { type Status, StatusCode } from "@weft/wire";
import { statusOfError } from "../errors.js";

/** What a call that is given up ends with, from the reason of the signal that aborted. */
export function statusOfAbort(reason: unknown): Status {
  if (reason instanceof ConnectError) return statusOfError(reason);
  if (reason instanceof DeadlineExceeded || (reason instanceof Error && reason.name === "TimeoutError")) {
    return { code: StatusCode.deadlineExceeded, message: "deadline exceeded" };
  }
  return { code: StatusCode.cancelled, message: "the call was cancelled" };
}

/** Calls `onAbort` once, when the first of the signals aborts; at once when one has. Dispose when the work is over. */
export function onFirstAbort(
  signals: readonly (AbortSignal | undefined)[],
  onAbort: (reason: unknown) => void,
): Disposable {
  const watched: AbortSignal[] = [];
  const release = (): void => {
    for (const signal of watched.splice(0)) signal.removeEventListener("abort", listener);
  };
  const listener = (event: Event): void => {
    release();
    if (event.target instanceof AbortSignal) onAbort(event.target.reason);
  };
  for (const signal of signals) {
    if (signal === undefined) continue;
    if (signal.aborted) {
      release();
      onAbort(signal.reason);
      break;
    }
    signal.addEventListener("abort", listener, { once: true });
    watched.push(signal);
  }
  return { [Symbol.dispose]: release };
}
