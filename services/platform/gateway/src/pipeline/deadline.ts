import { type Clock, deadlineIn } from "@weft/foundation";
import type { Step } from "./edge-call.js";

/** Limits how long a call may take: as the client wishes, but not longer than the cap of its kind. */
export function deadlines(options: {
  readonly clock: Clock;
  readonly unaryMs: number;
  readonly streamMs: number;
}): Step {
  return (next) => (call) => {
    const capMs = call.operation.streams ? options.streamMs : options.unaryMs;
    const timeoutMs = Math.min(call.timeoutMs ?? capMs, capMs);
    return next({ ...call, deadline: deadlineIn(timeoutMs, options.clock) });
  };
}
