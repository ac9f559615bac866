import type { Clock } from "@weft/foundation";
import type { SpanKind } from "../store/span.js";
import type { TraceStore } from "../store/trace-store.js";
import { toJaegerTrace } from "./jaeger-json.js";
import { parsePeriod, parseTraceId, parseTraceQuery } from "./parse-query.js";

/** An answer in Jaeger's envelope. */
export interface QueryAnswer {
  readonly status: number;
  readonly body: {
    readonly data: unknown;
    readonly total: number;
    readonly limit: 0;
    readonly offset: 0;
    readonly errors: readonly { readonly code: number; readonly msg: string }[] | null;
  };
}

/** Jaeger's query API over a store. Gives `undefined` for a path that is none of it. */
export function createQueryApi(
  store: TraceStore,
  clock: Clock,
): (path: string, params: URLSearchParams) => QueryAnswer | undefined {
  const nowUs = (): number => clock.wallMs() * 1_000;
  return (path, params) => {
    const [root, resource, name, rest, ...more] = path.split("/").slice(1).map(decoded);
    if (root !== "api" || more.length > 0) return undefined;
    if (resource === "services" && name === undefined) return listed(store.services());
    if (resource === "services" && name !== undefined && rest === "operations")
      return listed(unique(store.operations(name).map((operation) => operation.name)));
    if (rest !== undefined) return undefined;
    if (resource === "operations" && name === undefined) return operations(store, params);
    if (resource === "dependencies" && name === undefined) return dependencies(store, params, clock);
    if (resource === "traces") return name === undefined ? search(store, params, nowUs()) : one(store, name);
    return undefined;
  };
}

function search(store: TraceStore, params: URLSearchParams, nowUs: number): QueryAnswer {
  const ids = params.getAll("traceID");
  if (ids.length > 0) return byIds(store, ids);
  const query = parseTraceQuery(params, nowUs);
  return query.ok ? found(store.find(query.value).map(toJaegerTrace)) : failed(400, query.error);
}

function byIds(store: TraceStore, texts: readonly string[]): QueryAnswer {
  const traces = [];
  for (const text of texts) {
    const id = parseTraceId(text);
    if (!id.ok) return failed(400, id.error);
    const trace = store.get(id.value);
    if (trace !== undefined) traces.push(toJaegerTrace(trace));
  }
  return found(traces);
}

function one(store: TraceStore, text: string): QueryAnswer {
  const id = parseTraceId(text);
  if (!id.ok) return failed(400, id.error);
  const trace = store.get(id.value);
  return trace === undefined ? failed(404, "trace not found") : found([toJaegerTrace(trace)]);
}

function operations(store: TraceStore, params: URLSearchParams): QueryAnswer {
  const service = params.get("service") ?? "";
  if (service === "") return failed(400, "parameter 'service' is required");
  const kind = parseKind(params.get("spanKind") ?? "");
  if (kind === "unknown") return failed(400, `unable to parse param 'spanKind': unknown kind`);
  const of = store.operations(service, kind);
  return listed(of.map(({ name, kind: spanKind }) => ({ name, spanKind: spanKind === "unspecified" ? "" : spanKind })));
}

function dependencies(store: TraceStore, params: URLSearchParams, clock: Clock): QueryAnswer {
  const period = parsePeriod(params, clock.wallMs());
  if (!period.ok) return failed(400, period.error);
  return found(store.dependencies(period.value.fromUs, period.value.toUs));
}

function parseKind(text: string): SpanKind | undefined | "unknown" {
  if (text === "") return undefined;
  for (const kind of ["unspecified", "internal", "server", "client", "producer", "consumer"] as const)
    if (kind === text) return kind;
  return "unknown";
}

function unique(names: readonly string[]): readonly string[] {
  return [...new Set(names)];
}

function listed(data: readonly unknown[]): QueryAnswer {
  return { status: 200, body: { data, total: data.length, limit: 0, offset: 0, errors: null } };
}

/** Jaeger gives no total where it gives traces or edges. */
function found(data: readonly unknown[]): QueryAnswer {
  return { status: 200, body: { data, total: 0, limit: 0, offset: 0, errors: null } };
}

function failed(code: number, msg: string): QueryAnswer {
  return { status: code, body: { data: null, total: 0, limit: 0, offset: 0, errors: [{ code, msg }] } };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
