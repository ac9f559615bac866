import type { Attribute, ProcessInfo, StoredSpan, StoredTrace } from "../store/span.js";

/** Jaeger's JSON of a trace (its internal but stable HTTP API, which its page and clients read). */
export interface JaegerTrace {
  readonly traceID: string;
  readonly spans: readonly JaegerSpan[];
  readonly processes: Readonly<Record<string, JaegerProcess>>;
  readonly warnings: readonly string[] | null;
}

export interface JaegerSpan {
  readonly traceID: string;
  readonly spanID: string;
  readonly operationName: string;
  readonly references: readonly JaegerReference[];
  /** Microseconds since the epoch. */
  readonly startTime: number;
  /** Microseconds. */
  readonly duration: number;
  readonly tags: readonly Attribute[];
  readonly logs: readonly { readonly timestamp: number; readonly fields: readonly Attribute[] }[];
  readonly processID: string;
  readonly warnings: readonly string[] | null;
}

export interface JaegerReference {
  readonly refType: "CHILD_OF" | "FOLLOWS_FROM";
  readonly traceID: string;
  readonly spanID: string;
}

export interface JaegerProcess {
  readonly serviceName: string;
  readonly tags: readonly Attribute[];
}

/** A trace in Jaeger's JSON. Equal processes are listed once. */
export function toJaegerTrace(trace: StoredTrace): JaegerTrace {
  const processes: Record<string, JaegerProcess> = {};
  const ids = new Map<string, string>();
  const idOf = (process: ProcessInfo): string => {
    const key = JSON.stringify(process);
    let id = ids.get(key);
    if (id === undefined) {
      id = `p${ids.size + 1}`;
      ids.set(key, id);
      processes[id] = { serviceName: process.service, tags: process.attributes };
    }
    return id;
  };
  const known = new Set(trace.spans.map((span) => span.spanId));
  const spans = [...trace.spans]
    .sort((a, b) => a.startUs - b.startUs)
    .map((span) => toSpan(span, idOf(span.process), known));
  return { traceID: trace.traceId, spans, processes, warnings: null };
}

function toSpan(span: StoredSpan, processID: string, known: ReadonlySet<string>): JaegerSpan {
  const missing = span.parentId !== undefined && !known.has(span.parentId);
  return {
    traceID: span.traceId,
    spanID: span.spanId,
    operationName: span.name,
    references: referencesOf(span),
    startTime: span.startUs,
    duration: span.durationUs,
    tags: tagsOf(span),
    logs: span.events.map((event) => ({
      timestamp: event.timeUs,
      fields: [...(event.name === "" ? [] : [text("event", event.name)]), ...event.attributes],
    })),
    processID,
    warnings: missing ? [`parent span ${span.parentId} has not arrived`] : null,
  };
}

function referencesOf(span: StoredSpan): readonly JaegerReference[] {
  const parent: JaegerReference[] =
    span.parentId === undefined ? [] : [{ refType: "CHILD_OF", traceID: span.traceId, spanID: span.parentId }];
  const links = span.links.map(
    (link): JaegerReference => ({ refType: "FOLLOWS_FROM", traceID: link.traceId, spanID: link.spanId }),
  );
  return [...parent, ...links];
}

/** What OTLP says in fields of their own, Jaeger says in tags. */
function tagsOf(span: StoredSpan): readonly Attribute[] {
  const tags = [...span.attributes];
  if (span.kind !== "unspecified") tags.push(text("span.kind", span.kind));
  if (span.status.t === "ok") tags.push(text("otel.status_code", "OK"));
  if (span.status.t === "error") {
    tags.push({ key: "error", type: "bool", value: true }, text("otel.status_code", "ERROR"));
    if (span.status.message !== "") tags.push(text("otel.status_description", span.status.message));
  }
  if (span.scope.name !== "") tags.push(text("otel.scope.name", span.scope.name));
  if (span.scope.version !== "") tags.push(text("otel.scope.version", span.scope.version));
  if (span.traceState !== "") tags.push(text("w3c.tracestate", span.traceState));
  return tags.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

function text(key: string, value: string): Attribute {
  return { key, type: "string", value };
}
