import type { Deadline } from "@weft/foundation";
import type { Operation } from "../operation/operation.js";

/** A call from outside on its way in, as every protocol presents it. Steps of the pipeline fill in what is theirs. */
export interface EdgeCall {
  readonly operation: Operation;
  /** The protocol that the client speaks, such as `connect`. */
  readonly protocol: string;
  /** The client's address. */
  readonly peer: string;
  /** What the client said about the call: nothing in it is to be trusted. */
  readonly requestHeader: Headers;
  /** What the client is told beside the answer; written before the first message goes out. */
  readonly responseHeader: Headers;
  /** The messages of the request: one, unless the client streams. */
  readonly messages: AsyncIterable<unknown>;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
  /** How long the client wants to wait. */
  readonly timeoutMs: number | undefined;
  /** Names the call in logs. */
  readonly requestId: string;
  /** On whose behalf the call is made. */
  readonly user: string | undefined;
  readonly deadline: Deadline;
}

/** Answers a call: one message, or a stream of them. */
export type Handle = (call: EdgeCall) => AsyncIterable<unknown>;

/** One concern of the edge, around what comes after it. */
export type Step = (next: Handle) => Handle;

/** The steps, the first outermost, around the innermost handle. */
export function pipelineOf(steps: readonly Step[], handle: Handle): Handle {
  return steps.reduceRight((next, step) => step(next), handle);
}
