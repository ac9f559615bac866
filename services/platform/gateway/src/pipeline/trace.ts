import { ConnectError } from "@connectrpc/connect";
import { type Context, context, isSpanContextValid, trace } from "@opentelemetry/api";
import { statusOfError, type Telemetry } from "@weft/mesh";
import type { Step } from "./edge-call.js";

/** Headers by which a client finds the trace of its call. */
export const traceHeaders = { parent: "traceparent", id: "weft-trace-id" } as const;

/**
 * Starts the trace of each call: its root span, whatever trace context came from outside. The client is told the trace's id. What
 * follows in the pipeline runs in the span's context.
 */
export function traced(telemetry: Telemetry, address: () => { readonly host: string; readonly port: number }): Step {
  return (next) => (call) => {
    const told = telemetry.serverCall({
      path: `/${call.operation.name}`,
      metadata: [],
      peer: call.peer,
      ...address(),
    });
    const span = trace.getSpan(told.context);
    span?.setAttribute("weft.edge.protocol", call.protocol);
    const ids = span?.spanContext();
    if (ids !== undefined && isSpanContextValid(ids)) {
      const flags = ids.traceFlags.toString(16).padStart(2, "0");
      call.responseHeader.set(traceHeaders.parent, `00-${ids.traceId}-${ids.spanId}-${flags}`);
      call.responseHeader.set(traceHeaders.id, ids.traceId);
    }
    const answer = context.with(told.context, () => next(call));
    return ending(inContext(told.context, answer), (error) => {
      if (error === undefined) told.end({ code: 0, message: "" });
      else told.end(statusOfError(ConnectError.from(error)));
    });
  };
}

/** The same messages; whoever makes them runs in this context. */
function inContext(active: Context, messages: AsyncIterable<unknown>): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = context.with(active, () => messages[Symbol.asyncIterator]());
      return {
        next: () => context.with(active, () => iterator.next()),
        return: async () => {
          await context.with(active, () => iterator.return?.());
          return { done: true, value: undefined };
        },
      };
    },
  };
}

/** The same messages; `onEnd` hears once how they ended: with an error, or not (the reader may stop early). */
async function* ending(
  messages: AsyncIterable<unknown>,
  onEnd: (error: unknown) => void,
): AsyncGenerator<unknown, void, undefined> {
  let failure: unknown;
  try {
    yield* messages;
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    onEnd(failure);
  }
}
