import { type Context, type Meter, metrics, type Tracer, trace } from "@opentelemetry/api";
import { type Clock, systemClock } from "@weft/foundation";
import type { Metadata, Status } from "@weft/wire";
import { type ClientCallStart, startClientCall } from "./client-call.js";
import { createCallInstruments } from "./metrics.js";
import { type ServerCallStart, startServerCall } from "./server-call.js";

/** Spans and metrics of calls, both sides, through the OpenTelemetry API: they cost next to nothing where no SDK is registered. */
export interface Telemetry {
  /** A call that arrived. */
  serverCall(start: ServerCallStart): ServerCallTelemetry;
  /** A call that starts here; the span that is active becomes its parent. */
  clientCall(start: ClientCallStart): ClientCallTelemetry;
}

/** What is told of one call while it is served. */
export interface ServerCallTelemetry {
  /** The handler runs in it, so that its own calls and spans become children. */
  readonly context: Context;
  /** A message was sent, of so many bytes. */
  sent(bytes: number): void;
  /** A message was received, of so many bytes. */
  received(bytes: number): void;
  /** The call is over. Later calls of it do nothing. */
  end(status: Status): void;
}

/** What is told of one call by its client: one span a call, and metrics of each attempt. */
export interface ClientCallTelemetry {
  readonly context: Context;
  /** An attempt starts; `number` counts from 1, `peer` is the endpoint's `host:port`. The span names the last attempt. */
  attempt(number: number, peer: string): ClientAttemptTelemetry;
  /** The call is over, with all its attempts. Later calls of it do nothing. */
  end(status: Status): void;
}

export interface ClientAttemptTelemetry {
  /** The request's metadata with trace context and baggage (W3C, by the registered propagator). */
  inject(metadata: Metadata): Metadata;
  sent(bytes: number): void;
  received(bytes: number): void;
  /** The attempt is over. An attempt that another follows is told of on the span as an event. */
  end(status: Status): void;
}

/**
 * Telemetry of calls. Make it after the process has registered its SDK: the metrics API gives instruments that do nothing until then.
 */
export function createTelemetry(
  options: { readonly tracer?: Tracer; readonly meter?: Meter; readonly clock?: Clock } = {},
): Telemetry {
  const tracer = options.tracer ?? trace.getTracer("@weft/mesh");
  const meter = options.meter ?? metrics.getMeter("@weft/mesh");
  const parts = { tracer, instruments: createCallInstruments(meter), clock: options.clock ?? systemClock };
  return {
    serverCall: (start) => startServerCall(parts, start),
    clientCall: (start) => startClientCall(parts, start),
  };
}
