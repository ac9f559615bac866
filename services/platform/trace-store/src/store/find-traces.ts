import type { Attribute, StoredSpan, StoredTrace } from "./span.js";

/** What to look for: traces in which one span meets all of it. */
export interface TraceQuery {
  readonly service: string;
  readonly operation?: string;
  /** Attribute values as text, by key; looked for in the span, its events and its process. `error=true` means a failed span. */
  readonly tags: ReadonlyMap<string, string>;
  readonly minDurationUs?: number;
  readonly maxDurationUs?: number;
  /** Bounds of the span's start. */
  readonly startUs: number;
  readonly endUs: number;
  readonly limit: number;
}

/** The newest traces that the query describes. */
export function findTraces(traces: Iterable<StoredTrace>, query: TraceQuery): readonly StoredTrace[] {
  const found: StoredTrace[] = [];
  for (const trace of traces) if (trace.spans.some((span) => matches(span, query))) found.push(trace);
  return found.sort((a, b) => b.startUs - a.startUs).slice(0, query.limit);
}

function matches(span: StoredSpan, query: TraceQuery): boolean {
  return (
    span.process.service === query.service &&
    (query.operation === undefined || span.name === query.operation) &&
    span.startUs >= query.startUs &&
    span.startUs <= query.endUs &&
    span.durationUs >= (query.minDurationUs ?? 0) &&
    span.durationUs <= (query.maxDurationUs ?? Number.POSITIVE_INFINITY) &&
    [...query.tags].every(([key, value]) => hasTag(span, key, value))
  );
}

function hasTag(span: StoredSpan, key: string, value: string): boolean {
  if (key === "error" && (value === "true" || value === "false")) {
    const failed = span.status.t === "error" || holds(span.attributes, key, "true");
    return failed === (value === "true");
  }
  if (key === "span.kind" && span.kind === value) return true;
  return (
    holds(span.attributes, key, value) ||
    holds(span.process.attributes, key, value) ||
    span.events.some((event) => holds(event.attributes, key, value) || (key === "event" && event.name === value))
  );
}

function holds(attributes: readonly Attribute[], key: string, value: string): boolean {
  return attributes.some((attribute) => attribute.key === key && String(attribute.value) === value);
}
