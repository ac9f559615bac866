import { dependenciesOf, type Edge } from "./dependencies.js";
import { findTraces, type TraceQuery } from "./find-traces.js";
import { estimateBytes, type SpanKind, type StoredSpan, type StoredTrace, sharedParts } from "./span.js";

/** An operation of a service. */
export interface Operation {
  readonly name: string;
  readonly kind: SpanKind;
}

export interface TraceStoreOptions {
  /** Most bytes kept, by estimate; the trace that began to arrive first goes first. */
  readonly maxBytes: number;
  /** Most bytes of one trace; spans beyond are refused. Default a quarter of `maxBytes`. */
  readonly maxTraceBytes?: number;
}

/** Traces in memory, bounded by bytes. Late spans join their trace. */
export interface TraceStore {
  /** Takes one span; false when its trace is full. A span sent again replaces itself. */
  add(span: StoredSpan): boolean;
  get(traceId: string): StoredTrace | undefined;
  /** Newest first. */
  find(query: TraceQuery): readonly StoredTrace[];
  /** Names of services that have a span here, in order. */
  services(): readonly string[];
  /** Operations of a service, in order; of one kind when given. */
  operations(service: string, kind?: SpanKind): readonly Operation[];
  /** Calls from service to service in the traces that began in [fromUs, toUs]. */
  dependencies(fromUs: number, toUs: number): readonly Edge[];
  readonly stats: { readonly traces: number; readonly spans: number; readonly bytes: number; readonly evicted: number };
}

interface KeptTrace {
  readonly traceId: string;
  /** By span id and kind: a client and a server may share an id (Zipkin's way). */
  readonly byKey: Map<string, StoredSpan>;
  /** What its spans share, counted once. */
  readonly shared: Set<object>;
  startUs: number;
  bytes: number;
}

const traceOverhead = 256;

export function createTraceStore(options: TraceStoreOptions): TraceStore {
  const { maxBytes, maxTraceBytes = maxBytes / 4 } = options;
  const traces = new Map<string, KeptTrace>();
  const operations = createOperationCounts();
  let bytes = 0;
  let spans = 0;
  let evicted = 0;

  const evict = (trace: KeptTrace): void => {
    traces.delete(trace.traceId);
    bytes -= trace.bytes;
    spans -= trace.byKey.size;
    evicted++;
    for (const span of trace.byKey.values()) operations.remove(span);
  };

  const makeRoom = (keep: KeptTrace): void => {
    for (const trace of traces.values()) {
      if (bytes <= maxBytes) return;
      if (trace !== keep) evict(trace);
    }
  };

  const traceFor = (traceId: string): KeptTrace => {
    let trace = traces.get(traceId);
    if (trace === undefined) {
      trace = { traceId, byKey: new Map(), shared: new Set(), startUs: Number.POSITIVE_INFINITY, bytes: traceOverhead };
      traces.set(traceId, trace);
      bytes += traceOverhead;
    }
    return trace;
  };

  return {
    add(span) {
      const cost = estimateBytes(span);
      const known = traces.get(span.traceId);
      const brought = sharedParts(span).filter(([part]) => known?.shared.has(part) !== true);
      const sharedCost = brought.reduce((sum, [, partBytes]) => sum + partBytes, 0);
      if ((known?.bytes ?? traceOverhead) + cost + sharedCost > maxTraceBytes) return false;
      const trace = traceFor(span.traceId);
      for (const [part] of brought) trace.shared.add(part);
      const key = `${span.spanId}/${span.kind}`;
      const before = trace.byKey.get(key);
      const change = sharedCost + cost - (before === undefined ? 0 : estimateBytes(before));
      if (before === undefined) spans++;
      else operations.remove(before);
      operations.add(span);
      trace.byKey.set(key, span);
      trace.startUs = Math.min(trace.startUs, span.startUs);
      trace.bytes += change;
      bytes += change;
      if (bytes > maxBytes) makeRoom(trace);
      return true;
    },
    get(traceId) {
      const trace = traces.get(traceId);
      return trace === undefined ? undefined : snapshot(trace);
    },
    find: (query) => findTraces(mapped(traces.values(), snapshot), query),
    services: () => operations.services(),
    operations: (service, kind) => operations.of(service, kind),
    dependencies: (fromUs, toUs) => dependenciesOf(mapped(traces.values(), snapshot), fromUs, toUs),
    get stats() {
      return { traces: traces.size, spans, bytes, evicted };
    },
  };
}

function snapshot(trace: KeptTrace): StoredTrace {
  return { traceId: trace.traceId, startUs: trace.startUs, spans: [...trace.byKey.values()] };
}

function* mapped<A, B>(items: Iterable<A>, map: (item: A) => B): Iterable<B> {
  for (const item of items) yield map(item);
}

interface OperationCounts {
  add(span: StoredSpan): void;
  remove(span: StoredSpan): void;
  services(): readonly string[];
  of(service: string, kind: SpanKind | undefined): readonly Operation[];
}

interface Counted {
  readonly operation: Operation;
  count: number;
}

/** Which operations there are, counted so that those of evicted traces go. */
function createOperationCounts(): OperationCounts {
  const services = new Map<string, Map<string, Counted>>();
  const keyOf = (span: StoredSpan): string => `${span.kind}/${span.name}`;
  return {
    add(span) {
      const byKey = services.get(span.process.service) ?? new Map<string, Counted>();
      services.set(span.process.service, byKey);
      const entry = byKey.get(keyOf(span));
      if (entry === undefined) byKey.set(keyOf(span), { operation: { name: span.name, kind: span.kind }, count: 1 });
      else entry.count++;
    },
    remove(span) {
      const byKey = services.get(span.process.service);
      const entry = byKey?.get(keyOf(span));
      if (byKey === undefined || entry === undefined) return;
      if (--entry.count === 0) byKey.delete(keyOf(span));
      if (byKey.size === 0) services.delete(span.process.service);
    },
    services: () => [...services.keys()].sort(),
    of: (service, kind) =>
      [...(services.get(service)?.values() ?? [])]
        .map(({ operation }) => operation)
        .filter((operation) => kind === undefined || operation.kind === kind)
        .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.kind < b.kind ? -1 : 1)),
  };
}
