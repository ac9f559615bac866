/** One typed attribute, as Jaeger's JSON has it. An int64 outside what a number holds exactly is text. */
export interface Attribute {
  readonly key: string;
  readonly type: "string" | "bool" | "int64" | "float64" | "binary";
  readonly value: string | number | boolean;
}

export type SpanKind = "unspecified" | "internal" | "server" | "client" | "producer" | "consumer";

/** The process that spans come from. */
export interface ProcessInfo {
  readonly service: string;
  readonly attributes: readonly Attribute[];
}

export interface SpanEvent {
  readonly timeUs: number;
  readonly name: string;
  readonly attributes: readonly Attribute[];
}

export interface SpanLink {
  readonly traceId: string;
  readonly spanId: string;
}

export type SpanStatus =
  | { readonly t: "unset" }
  | { readonly t: "ok" }
  | { readonly t: "error"; readonly message: string };

/** One span as it is kept: ids in lower-case hex, times in microseconds since the epoch. */
export interface StoredSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Absent on a root. */
  readonly parentId?: string;
  readonly name: string;
  readonly kind: SpanKind;
  readonly startUs: number;
  readonly durationUs: number;
  readonly attributes: readonly Attribute[];
  readonly events: readonly SpanEvent[];
  readonly links: readonly SpanLink[];
  readonly status: SpanStatus;
  readonly traceState: string;
  readonly scope: { readonly name: string; readonly version: string };
  readonly process: ProcessInfo;
}

/** A trace as far as it has arrived. */
export interface StoredTrace {
  readonly traceId: string;
  readonly spans: readonly StoredSpan[];
  /** Start of its earliest span. */
  readonly startUs: number;
}

/** What the parts that a span shares with others of its process cost in memory, each once for a trace. */
export function sharedParts({ process, scope }: StoredSpan): readonly (readonly [object, number])[] {
  return [
    [process, 96 + process.service.length + attributeBytes(process.attributes)],
    [scope, 64 + scope.name.length + scope.version.length],
  ];
}

/** What a span by itself costs in memory, roughly: objects and headers by count, text by length. */
export function estimateBytes(span: StoredSpan): number {
  let bytes = 480 + 2 * span.name.length + span.traceState.length;
  bytes += attributeBytes(span.attributes);
  if (span.status.t === "error") bytes += span.status.message.length;
  for (const event of span.events) bytes += 96 + event.name.length + attributeBytes(event.attributes);
  bytes += span.links.length * 160;
  return bytes;
}

function attributeBytes(attributes: readonly Attribute[]): number {
  let bytes = 0;
  for (const { key, value } of attributes) bytes += 88 + key.length + (typeof value === "string" ? value.length : 8);
  return bytes;
}
