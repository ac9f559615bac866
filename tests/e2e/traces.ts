import { eventually } from "@weft/foundation/testing";

/** The part of Jaeger's answer that the tests read. */
export interface JaegerSpan {
  readonly traceID: string;
  readonly spanID: string;
  readonly operationName: string;
  readonly processID: string;
  readonly references: readonly { readonly refType: string; readonly spanID: string }[];
  readonly tags: readonly { readonly key: string; readonly value: unknown }[];
}

export interface JaegerTrace {
  readonly traceID: string;
  readonly spans: readonly JaegerSpan[];
  readonly processes: Readonly<Record<string, { readonly serviceName: string }>>;
}

/** One trace by id through Jaeger's query API; `undefined` while it is not known. */
export async function fetchTrace(queryUrl: string, traceId: string): Promise<JaegerTrace | undefined> {
  const answer = await fetch(`${queryUrl}/api/traces/${traceId}`);
  if (!answer.ok) return undefined;
  const body: { readonly data: readonly JaegerTrace[] } = parseAnswer(await answer.json());
  return body.data[0];
}

function parseAnswer(value: unknown): { readonly data: readonly JaegerTrace[] } {
  return value as { readonly data: readonly JaegerTrace[] };
}

/** Who called whom in a trace, each pair once, sorted: `orders→catalog`. */
export function edgesOf(trace: JaegerTrace): string[] {
  const byId = new Map(trace.spans.map((span) => [span.spanID, span]));
  const edges = new Set<string>();
  for (const span of trace.spans) {
    const parent = byId.get(span.references[0]?.spanID ?? "");
    if (parent === undefined) continue;
    const from = trace.processes[parent.processID]?.serviceName;
    const to = trace.processes[span.processID]?.serviceName;
    if (from !== to) edges.add(`${from}→${to}`);
  }
  return [...edges].sort();
}

/** Spans without a parent, and spans whose parent is not in the trace. */
export function rootsAndOrphans(trace: JaegerTrace): { readonly roots: number; readonly orphans: number } {
  const ids = new Set(trace.spans.map((span) => span.spanID));
  let roots = 0;
  let orphans = 0;
  for (const span of trace.spans) {
    const parent = span.references[0]?.spanID;
    if (parent === undefined) roots += 1;
    else if (!ids.has(parent)) orphans += 1;
  }
  return { roots, orphans };
}

/**
 * Waits until a trace is whole: exporters send in batches, so its spans come bit by bit.
 * Whole means one root, no orphan, and at least these edges; what it then holds is for the test to judge.
 */
export function wholeTrace(queryUrl: string, traceId: string, edges: readonly string[]): Promise<JaegerTrace> {
  return eventually(
    async () => {
      const trace = await fetchTrace(queryUrl, traceId);
      if (trace === undefined) return undefined;
      const { roots, orphans } = rootsAndOrphans(trace);
      const seen = edgesOf(trace);
      return roots === 1 && orphans === 0 && edges.every((edge) => seen.includes(edge)) ? trace : undefined;
    },
    {
      ceilingMs: 60_000,
      everyMs: 200,
      what: `trace ${traceId} with one root, no orphan and edges ${edges.join(", ")}`,
    },
  );
}
