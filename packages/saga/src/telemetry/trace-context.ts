import { type Context, createTraceState, ROOT_CONTEXT, TraceFlags, trace } from "@opentelemetry/api";

/** A W3C trace context as text. */
export interface KeptTrace {
  readonly traceParent: string | undefined;
  readonly traceState: string | undefined;
}

/** The trace of the running code, for a row. */
export function keepTrace(context: Context): KeptTrace {
  const span = trace.getSpanContext(context);
  if (span === undefined || !/[1-9a-f]/.test(span.traceId)) return { traceParent: undefined, traceState: undefined };
  const flags = (span.traceFlags & 0xff).toString(16).padStart(2, "0");
  return { traceParent: `00-${span.traceId}-${span.spanId}-${flags}`, traceState: span.traceState?.serialize() };
}

/** The context in which a saga's steps run: its order's trace, in whichever process. */
export function parseTrace(kept: KeptTrace): Context {
  const match = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(kept.traceParent ?? "");
  const [, traceId, spanId, flags] = match ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED,
    isRemote: true,
    ...(kept.traceState === undefined ? {} : { traceState: createTraceState(kept.traceState) }),
  });
}

/** The trace id in a `traceparent`, for people. */
export function traceIdOf(traceParent: string | undefined): string {
  return /^00-([0-9a-f]{32})-/.exec(traceParent ?? "")?.[1] ?? "";
}
