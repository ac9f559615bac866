import {
  type Attributes,
  type Context,
  createNoopMeter,
  type Meter,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";

/** What a test sees of one span. */
export interface RecordedSpan {
  readonly name: string;
  readonly kind: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly attributes: Attributes;
  readonly events: { readonly name: string; readonly attributes: unknown }[];
  error: string | undefined;
  ended: boolean;
}

/** A tracer that keeps its spans, in the order in which they started. */
export function recordTracer(): { readonly tracer: Tracer; readonly spans: RecordedSpan[] } {
  const spans: RecordedSpan[] = [];
  const start = (name: string, kind: SpanKind, attributes: Attributes, parent: Context): Span => {
    const from = trace.getSpanContext(parent);
    const number = (spans.length + 1).toString(16);
    const spanContext: SpanContext = {
      traceId: from?.traceId || number.padStart(32, "a"),
      spanId: number.padStart(16, "b"),
      traceFlags: 1,
    };
    const recorded: RecordedSpan = {
      name,
      kind: SpanKind[kind].toLowerCase(),
      traceId: spanContext.traceId,
      spanId: spanContext.spanId,
      parentSpanId: from?.spanId || undefined,
      attributes: { ...attributes },
      events: [],
      error: undefined,
      ended: false,
    };
    spans.push(recorded);
    return spanOf(recorded, spanContext);
  };
  const tracer: Tracer = {
    startSpan: (name, options, parent) =>
      start(name, options?.kind ?? SpanKind.INTERNAL, options?.attributes ?? {}, parent ?? ROOT_CONTEXT),
    startActiveSpan: () => {
      throw new Error("not used by the mesh");
    },
  };
  return { tracer, spans };
}

function spanOf(recorded: RecordedSpan, spanContext: SpanContext): Span {
  const span: Span = {
    spanContext: () => spanContext,
    setAttribute(name, value) {
      recorded.attributes[name] = value;
      return span;
    },
    setAttributes(attributes) {
      Object.assign(recorded.attributes, attributes);
      return span;
    },
    addEvent(name, attributes) {
      recorded.events.push({ name, attributes });
      return span;
    },
    addLink: () => span,
    addLinks: () => span,
    setStatus(status) {
      if (status.code === SpanStatusCode.ERROR) recorded.error = status.message ?? "";
      return span;
    },
    updateName: () => span,
    end() {
      recorded.ended = true;
    },
    isRecording: () => !recorded.ended,
    recordException() {},
  };
  return span;
}

/** One measurement: instrument, value, labels. */
export type Measurement = readonly [name: string, value: number, labels: Attributes | undefined];

/** A meter whose counters and histograms keep what they are told. */
export function recordMeter(): { readonly meter: Meter; readonly records: Measurement[] } {
  const records: Measurement[] = [];
  const meter: Meter = createNoopMeter();
  meter.createCounter = (name) => ({ add: (value, labels) => void records.push([name, value, labels]) });
  meter.createHistogram = (name) => ({ record: (value, labels) => void records.push([name, value, labels]) });
  return { meter, records };
}
