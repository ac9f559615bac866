import type { StoredTrace } from "./span.js";

/** How often one service's span is the parent of another's. */
export interface Edge {
  readonly parent: string;
  readonly child: string;
  readonly callCount: number;
}

/** The edges between services (a service and itself too) in the traces that began in [fromUs, toUs]. */
export function dependenciesOf(traces: Iterable<StoredTrace>, fromUs: number, toUs: number): readonly Edge[] {
  const counts = new Map<string, Map<string, number>>();
  for (const trace of traces) {
    if (trace.startUs < fromUs || trace.startUs > toUs) continue;
    const services = new Map(trace.spans.map((span) => [span.spanId, span.process.service]));
    for (const span of trace.spans) {
      const parent = span.parentId === undefined ? undefined : services.get(span.parentId);
      if (parent === undefined) continue;
      const children = counts.get(parent) ?? new Map<string, number>();
      counts.set(parent, children);
      children.set(span.process.service, (children.get(span.process.service) ?? 0) + 1);
    }
  }
  return [...counts].flatMap(([parent, children]) =>
    [...children].map(([child, callCount]) => ({ parent, child, callCount })),
  );
}
