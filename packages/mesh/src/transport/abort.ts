import { ConnectError } from "@connectrpc/connect";
import { DeadlineExceeded, whenAborted } from "@weft/foundation";
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
  const waits: Disposable[] = [];
  const release = (): void => {
    for (const wait of waits.splice(0)) wait[Symbol.dispose]();
  };
  const first = (reason: unknown): void => {
    release();
    onAbort(reason);
  };
  for (const signal of signals) {
    if (signal === undefined) continue;
    if (signal.aborted) {
      first(signal.reason);
      break;
    }
    waits.push(whenAborted(signal, first));
  }
  return { [Symbol.dispose]: release };
}
