import { Code } from "@connectrpc/connect";
import type { Step } from "./edge-call.js";
import { EdgeRefusal } from "./errors.js";

/** Counts the calls that are under way and refuses new ones when there are too many, or when the process is about to stop. */
export interface Admission {
  readonly step: Step;
  readonly underWay: number;
  /** From now on no call is let in. */
  close(): void;
}

/**
 * Lets at most `maxCalls` in at a time, of which `maxStreams` may be streams: those stay long, and must not keep all others out.
 * One more gets RESOURCE_EXHAUSTED. Closed, UNAVAILABLE.
 */
export function createAdmission(limits: { readonly maxCalls: number; readonly maxStreams: number }): Admission {
  let underWay = 0;
  let streams = 0;
  let closed = false;
  return {
    get underWay() {
      return underWay;
    },
    close() {
      closed = true;
    },
    step: (next) =>
      async function* (call) {
        const isStream = call.operation.streams;
        if (closed) throw new EdgeRefusal("the gateway is stopping: try again", Code.Unavailable);
        if (underWay >= limits.maxCalls || (isStream && streams >= limits.maxStreams))
          throw new EdgeRefusal("there are too many calls at the moment: try again later", Code.ResourceExhausted);
        underWay += 1;
        if (isStream) streams += 1;
        try {
          yield* next(call);
        } finally {
          underWay -= 1;
          if (isStream) streams -= 1;
        }
      },
  };
}
