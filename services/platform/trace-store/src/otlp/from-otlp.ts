import { type JsonValue, toJson } from "@bufbuild/protobuf";
import type { ExportTraceServiceRequest } from "@weft/contracts/opentelemetry/proto/collector/trace/v1";
import {
  type AnyValue,
  AnyValueSchema,
  type InstrumentationScope,
  type KeyValue,
} from "@weft/contracts/opentelemetry/proto/common/v1";
import type { Resource } from "@weft/contracts/opentelemetry/proto/resource/v1";
import { type Span, Span_SpanKind, type Status, Status_StatusCode } from "@weft/contracts/opentelemetry/proto/trace/v1";
import type { Attribute, ProcessInfo, SpanKind, SpanStatus, StoredSpan } from "../store/span.js";
import { createInterner, type Interner } from "./interner.js";

/** One span of a request: kept, or why it can't be. */
export type Received =
  | { readonly t: "span"; readonly span: StoredSpan }
  | { readonly t: "invalid"; readonly why: string };

/** The spans of an export request, one by one. */
export function* fromOtlp(
  request: ExportTraceServiceRequest,
  interner: Interner = createInterner(),
): Iterable<Received> {
  for (const { resource, scopeSpans } of request.resourceSpans) {
    const own = processOf(resource, interner);
    const process = interner.value(`process ${JSON.stringify(own)}`, () => own);
    for (const { scope, spans } of scopeSpans) {
      const from = { process, scope: scopeOf(scope, interner), interner };
      for (const span of spans) yield fromSpan(span, from);
    }
  }
}

/** What the spans of one list share. */
interface Origin {
  readonly process: ProcessInfo;
  readonly scope: StoredSpan["scope"];
  readonly interner: Interner;
}

function scopeOf(scope: InstrumentationScope | undefined, interner: Interner): StoredSpan["scope"] {
  const { name = "", version = "" } = scope ?? {};
  return interner.value(`scope ${name} ${version}`, () => ({ name, version }));
}

const kinds: Readonly<Record<Span_SpanKind, SpanKind>> = {
  [Span_SpanKind.UNSPECIFIED]: "unspecified",
  [Span_SpanKind.INTERNAL]: "internal",
  [Span_SpanKind.SERVER]: "server",
  [Span_SpanKind.CLIENT]: "client",
  [Span_SpanKind.PRODUCER]: "producer",
  [Span_SpanKind.CONSUMER]: "consumer",
};

/** What a process without `service.name` is called, as Jaeger calls it. */
const namelessService = "OTLPResourceNoServiceName";

function fromSpan(span: Span, { process, scope, interner }: Origin): Received {
  if (!isId(span.traceId, 16)) return { t: "invalid", why: "a trace id is not 16 bytes, or all zero" };
  if (!isId(span.spanId, 8)) return { t: "invalid", why: "a span id is not 8 bytes, or all zero" };
  const startUs = micros(span.startTimeUnixNano);
  return {
    t: "span",
    span: {
      traceId: hex(span.traceId),
      spanId: hex(span.spanId),
      ...(isId(span.parentSpanId, 8) ? { parentId: hex(span.parentSpanId) } : {}),
      name: interner.text(span.name),
      kind: kinds[span.kind] ?? "unspecified",
      startUs,
      durationUs:
        span.endTimeUnixNano > span.startTimeUnixNano ? micros(span.endTimeUnixNano - span.startTimeUnixNano) : 0,
      attributes: fromAttributes(span.attributes, interner),
      events: span.events.map((event) => ({
        timeUs: micros(event.timeUnixNano),
        name: interner.text(event.name),
        attributes: fromAttributes(event.attributes, interner),
      })),
      links: span.links.map((link) => ({ traceId: hex(link.traceId), spanId: hex(link.spanId) })),
      status: fromStatus(span.status),
      traceState: span.traceState,
      scope,
      process,
    },
  };
}

function processOf(resource: Resource | undefined, interner: Interner): ProcessInfo {
  const all = fromAttributes(resource?.attributes ?? [], interner);
  const service = all.find(({ key }) => key === "service.name")?.value;
  return {
    service: typeof service === "string" && service !== "" ? service : namelessService,
    attributes: all.filter(({ key }) => key !== "service.name"),
  };
}

function fromStatus(status: Status | undefined): SpanStatus {
  if (status?.code === Status_StatusCode.ERROR) return { t: "error", message: status.message };
  return status?.code === Status_StatusCode.OK ? { t: "ok" } : { t: "unset" };
}

/** In the order of their keys; of two with one key the last counts. */
function fromAttributes(attributes: readonly KeyValue[], interner: Interner): readonly Attribute[] {
  const byKey = new Map<string, Attribute>();
  for (const { key, value } of attributes) byKey.set(key, { key: interner.text(key), ...fromValue(value) });
  return [...byKey.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

function fromValue(value: AnyValue | undefined): Omit<Attribute, "key"> {
  const of = value?.value;
  switch (of?.case) {
    case "stringValue":
      return { type: "string", value: of.value };
    case "boolValue":
      return { type: "bool", value: of.value };
    case "intValue":
      return { type: "int64", value: exact(of.value) };
    case "doubleValue":
      return { type: "float64", value: Number.isFinite(of.value) ? of.value : String(of.value) };
    case "bytesValue":
      return { type: "binary", value: Buffer.from(of.value).toString("base64") };
    case "arrayValue":
    case "kvlistValue":
      return { type: "string", value: JSON.stringify(plain(value)) };
    case undefined:
      return { type: "string", value: "" };
  }
}

/** Nested values become JSON text, as in Jaeger. */
function plain(value: AnyValue | undefined): JsonValue {
  const of = value?.value;
  switch (of?.case) {
    case "arrayValue":
      return of.value.values.map(plain);
    case "kvlistValue":
      return Object.fromEntries(of.value.values.map(({ key, value: inner }) => [key, plain(inner)]));
    case "intValue":
      return exact(of.value);
    case "bytesValue":
      return toJson(AnyValueSchema, { $typeName: "opentelemetry.proto.common.v1.AnyValue", value: of });
    case undefined:
      return null;
    case "stringValue":
    case "boolValue":
    case "doubleValue":
      return of.value;
  }
}

function exact(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}

function micros(nanos: bigint): number {
  return Number(nanos / 1_000n);
}

function hex(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString("hex");
}

function isId(id: Uint8Array, length: number): boolean {
  return id.length === length && id.some((byte) => byte !== 0);
}
