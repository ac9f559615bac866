import { context, SpanKind, type Tracer, trace } from "@opentelemetry/api";
import type { Clock } from "@weft/foundation";
import { statusName } from "@weft/wire";
import { attr, endSpan, methodAttributes, methodName, peerAttributes } from "./attributes.js";
import type { CallInstruments } from "./metrics.js";
import { injectContext } from "./propagation.js";
import type { ClientAttemptTelemetry, ClientCallTelemetry } from "./telemetry.js";

export interface ClientCallStart {
  /** `/package.Service/Method` */
  readonly path: string;
  /** What the caller asked for, such as `orders.shop:8080`: `grpc.target` of metrics. */
  readonly target: string;
  /** The logical server: the Service's name, and its port where known. */
  readonly host: string;
  readonly port?: number;
}

/** See {@link ClientCallTelemetry}. */
export function startClientCall(
  parts: { readonly tracer: Tracer; readonly instruments: CallInstruments; readonly clock: Clock },
  start: ClientCallStart,
): ClientCallTelemetry {
  const { instruments, clock } = parts;
  const startedMs = clock.nowMs();
  const name = methodName(start.path);
  const labels = { "grpc.method": name, "grpc.target": start.target };
  const parent = context.active();
  const attributes = {
    ...methodAttributes(start.path),
    [attr.serverAddress]: start.host,
    ...(start.port === undefined ? {} : { [attr.serverPort]: start.port }),
  };
  const span = parts.tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes }, parent);
  const callContext = trace.setSpan(parent, span);
  let over = false;

  const attempt = (number: number, peer: string): ClientAttemptTelemetry => {
    const attemptStartedMs = clock.nowMs();
    let sentBytes = 0;
    let receivedBytes = 0;
    let attemptOver = false;
    span.setAttributes({ ...peerAttributes(peer), [attr.attempt]: number });
    instruments.clientAttemptStarted.add(1, labels);
    return {
      inject: (metadata) => injectContext(callContext, metadata),
      sent(bytes) {
        sentBytes += bytes;
      },
      received(bytes) {
        receivedBytes += bytes;
      },
      end(status) {
        if (attemptOver) return;
        attemptOver = true;
        const withStatus = { ...labels, "grpc.status": statusName(status.code) };
        instruments.clientAttemptDuration.record((clock.nowMs() - attemptStartedMs) / 1_000, withStatus);
        instruments.clientAttemptSent.record(sentBytes, withStatus);
        instruments.clientAttemptReceived.record(receivedBytes, withStatus);
        if (status.code !== 0) {
          span.addEvent("attempt failed", {
            [attr.attempt]: number,
            [attr.statusCode]: status.code,
            ...peerAttributes(peer),
          });
        }
      },
    };
  };

  return {
    context: callContext,
    attempt,
    end(status) {
      if (over) return;
      over = true;
      instruments.clientCallDuration.record((clock.nowMs() - startedMs) / 1_000, {
        ...labels,
        "grpc.status": statusName(status.code),
      });
      endSpan(span, status, "client");
    },
  };
}
