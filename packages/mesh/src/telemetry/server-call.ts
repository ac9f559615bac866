import { SpanKind, type Tracer, trace } from "@opentelemetry/api";
import type { Clock } from "@weft/foundation";
import { type Metadata, statusName } from "@weft/wire";
import { attr, endSpan, methodAttributes, methodName, peerAttributes } from "./attributes.js";
import type { CallInstruments } from "./metrics.js";
import { extractContext } from "./propagation.js";
import type { ServerCallTelemetry } from "./telemetry.js";

export interface ServerCallStart {
  /** `/package.Service/Method` */
  readonly path: string;
  readonly metadata: Metadata;
  /** Address of the client, `host:port`. */
  readonly peer: string;
  /** The address that the server is bound to. */
  readonly host: string;
  readonly port: number;
}

/** See {@link ServerCallTelemetry}. */
export function startServerCall(
  parts: { readonly tracer: Tracer; readonly instruments: CallInstruments; readonly clock: Clock },
  start: ServerCallStart,
): ServerCallTelemetry {
  const { instruments, clock } = parts;
  const startedMs = clock.nowMs();
  const name = methodName(start.path);
  const parent = extractContext(start.metadata);
  const attributes = {
    ...methodAttributes(start.path),
    ...peerAttributes(start.peer),
    [attr.serverAddress]: start.host,
    [attr.serverPort]: start.port,
  };
  const span = parts.tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent);
  instruments.serverCallStarted.add(1, { "grpc.method": name });
  let sentBytes = 0;
  let receivedBytes = 0;
  let over = false;
  return {
    context: trace.setSpan(parent, span),
    sent(bytes) {
      sentBytes += bytes;
    },
    received(bytes) {
      receivedBytes += bytes;
    },
    end(status) {
      if (over) return;
      over = true;
      const labels = { "grpc.method": name, "grpc.status": statusName(status.code) };
      instruments.serverCallDuration.record((clock.nowMs() - startedMs) / 1_000, labels);
      instruments.serverCallSent.record(sentBytes, labels);
      instruments.serverCallReceived.record(receivedBytes, labels);
      endSpan(span, status, "server");
    },
  };
}
