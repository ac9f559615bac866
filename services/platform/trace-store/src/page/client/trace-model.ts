import type { JaegerSpan, JaegerTrace } from "../../query/jaeger-json.js";
import type { Attribute } from "../../store/span.js";
import { statusName } from "./status-names.js";

/** A span as the page shows it, with its place in the tree. Times are microseconds. */
export interface SpanNode {
  readonly id: string;
  readonly service: string;
  /** What is shown in bold: the method of a call, else the operation. */
  readonly title: string;
  /** What stands before it, dimmed: the service of a call. */
  readonly prefix: string;
  readonly kind: string;
  readonly startUs: number;
  readonly endUs: number;
  readonly depth: number;
  readonly failed: boolean;
  /** Name of the gRPC or HTTP status, `OK` among them; empty when it has none. */
  readonly status: string;
  /** Where a client span went. */
  readonly peer: string;
  /** 1 for a first attempt, or where attempts don't count. */
  readonly attempt: number;
  /** True when its parent is not here (yet). */
  readonly orphan: boolean;
  readonly children: readonly SpanNode[];
  readonly span: JaegerSpan;
  readonly process: readonly Attribute[];
}

/** A stretch of a span's own work on the longest chain. */
export interface CriticalPart {
  readonly spanId: string;
  readonly fromUs: number;
  readonly toUs: number;
}

export interface TraceModel {
  readonly traceId: string;
  readonly roots: readonly SpanNode[];
  readonly count: number;
  readonly startUs: number;
  readonly endUs: number;
  /** In the order of their first span. */
  readonly services: readonly string[];
  readonly failures: number;
  /** Attempts after the first. */
  readonly retries: number;
  readonly orphans: number;
  /** The chain that decided how long the trace took, last part first. */
  readonly critical: readonly CriticalPart[];
}

/** Builds the tree of a trace; spans without their parent stand as roots of their own. */
export function buildTrace(trace: JaegerTrace): TraceModel {
  const spans = [...trace.spans].sort((a, b) => a.startTime - b.startTime || b.duration - a.duration);
  const byId = new Map(spans.map((span) => [span.spanID, span]));
  const childrenOf = new Map<string, JaegerSpan[]>();
  const tops: JaegerSpan[] = [];
  for (const span of spans) {
    const parent = parentOf(span);
    if (parent === undefined || !byId.has(parent) || parent === span.spanID) tops.push(span);
    else if (childrenOf.get(parent)?.push(span) === undefined) childrenOf.set(parent, [span]);
  }
  const isOrphan = (span: JaegerSpan): boolean => {
    const parent = parentOf(span);
    return parent !== undefined && !byId.has(parent);
  };
  const nodes: SpanNode[] = [];
  const seen = new Set<string>();
  const grow = (span: JaegerSpan, depth: number): SpanNode => {
    seen.add(span.spanID);
    const below = (childrenOf.get(span.spanID) ?? []).filter((child) => !seen.has(child.spanID));
    const children = below.map((child) => grow(child, depth + 1));
    const node = nodeOf(trace, span, { depth, children, orphan: isOrphan(span) });
    nodes.push(node);
    return node;
  };
  const roots = tops.map((span) => grow(span, 0));
  // Spans that are each other's parents hang on no root.
  for (const span of spans) if (!seen.has(span.spanID)) roots.push(grow(span, 0));
  const startUs = Math.min(...spans.map((span) => span.startTime));
  const endUs = Math.max(...spans.map((span) => span.startTime + span.duration));
  return {
    traceId: trace.traceID,
    roots,
    count: nodes.length,
    startUs,
    endUs: Math.max(endUs, startUs + 1),
    services: [...new Set(spans.map((span) => serviceOf(trace, span)))],
    failures: nodes.filter((node) => node.failed).length,
    retries: nodes.reduce((sum, node) => (node.kind === "client" ? sum + node.attempt - 1 : sum), 0),
    orphans: nodes.filter((node) => node.orphan).length,
    critical: roots.flatMap((root) => (root.orphan ? [] : criticalPath(root, root.endUs))),
  };
}

/** Walks back from the end: whatever ended last before the cursor held the span up until it began. */
function criticalPath(node: SpanNode, untilUs: number): readonly CriticalPart[] {
  const parts: CriticalPart[] = [];
  let cursor = Math.min(node.endUs, untilUs);
  for (const child of [...node.children].sort((a, b) => b.endUs - a.endUs)) {
    const childEnd = Math.min(child.endUs, cursor);
    if (child.startUs >= cursor || childEnd <= node.startUs) continue;
    if (childEnd < cursor) parts.push({ spanId: node.id, fromUs: childEnd, toUs: cursor });
    parts.push(...criticalPath(child, childEnd));
    cursor = Math.max(child.startUs, node.startUs);
  }
  if (cursor > node.startUs) parts.push({ spanId: node.id, fromUs: node.startUs, toUs: cursor });
  return parts;
}

/** The time each service holds on the longest chain, most first. Microseconds. */
export function timeByService(model: TraceModel): readonly { readonly service: string; readonly us: number }[] {
  const services = new Map<string, string>();
  for (const node of walk(model.roots)) services.set(node.id, node.service);
  const totals = new Map<string, number>();
  for (const part of model.critical) {
    const service = services.get(part.spanId) ?? "";
    totals.set(service, (totals.get(service) ?? 0) + part.toUs - part.fromUs);
  }
  return [...totals].map(([service, us]) => ({ service, us })).sort((a, b) => b.us - a.us);
}

/** Where a failure came from. */
export interface FailureOrigin {
  readonly node: SpanNode;
  /** The words of the deepest span on the way that says something: a server does not always repeat what it answered. */
  readonly message: string;
}

/** The deepest failed span below the first one that failed; `undefined` when nothing failed. */
export function failureOrigin(model: TraceModel): FailureOrigin | undefined {
  let origin: FailureOrigin | undefined;
  let among: readonly SpanNode[] = [...walk(model.roots)];
  for (;;) {
    const failed = among.filter((node) => node.failed);
    // Of siblings the last failure decided: one before it was retried.
    const node = origin === undefined ? failed[0] : failed[failed.length - 1];
    if (node === undefined) return origin;
    origin = { node, message: tagText(node.span, "otel.status_description") || (origin?.message ?? "") };
    among = node.children;
  }
}

/** All nodes, parents before children. */
export function* walk(nodes: readonly SpanNode[]): Iterable<SpanNode> {
  for (const node of nodes) {
    yield node;
    yield* walk(node.children);
  }
}

function nodeOf(
  trace: JaegerTrace,
  span: JaegerSpan,
  place: Pick<SpanNode, "depth" | "children" | "orphan">,
): SpanNode {
  const { prefix, title } = splitName(span.operationName);
  return {
    id: span.spanID,
    service: serviceOf(trace, span),
    title,
    prefix,
    kind: tagText(span, "span.kind"),
    startUs: span.startTime,
    endUs: span.startTime + span.duration,
    ...place,
    failed: isFailed(span),
    status: statusOf(span),
    peer: peerOf(span),
    attempt: Number(tagText(span, "weft.attempt") || 1),
    span,
    process: trace.processes[span.processID]?.tags ?? [],
  };
}

/**
 * True when the span ended in an error, or in a status that is none of success: OpenTelemetry's conventions count what a caller did
 * wrong as no error of the server, but who reads a trace wants to see it on both sides.
 */
function isFailed(span: JaegerSpan): boolean {
  return (
    tagText(span, "error") === "true" ||
    Number(tagText(span, "rpc.grpc.status_code")) !== 0 ||
    Number(tagText(span, "http.response.status_code")) >= 400
  );
}

/** The service that made the span. */
export function serviceOf(trace: JaegerTrace, span: JaegerSpan): string {
  return trace.processes[span.processID]?.serviceName ?? "";
}

/** Parent by reference, if it has one. */
export function parentOf(span: JaegerSpan): string | undefined {
  return span.references.find((reference) => reference.refType === "CHILD_OF" && reference.traceID === span.traceID)
    ?.spanID;
}

/** `shop.orders.v1.OrderService/PlaceOrder` reads as OrderService and PlaceOrder; any other name stays whole. */
export function splitName(name: string): { readonly prefix: string; readonly title: string } {
  const call = /^((?:[A-Z]+ )?)\/?(?:[\w.]+\.)?(\w+)\/(\w+)$/.exec(name);
  return call === null ? { prefix: "", title: name } : { prefix: `${call[1] ?? ""}${call[2]}`, title: call[3] ?? name };
}

export function tagText(span: JaegerSpan, key: string): string {
  const tag = span.tags.find((one) => one.key === key);
  return tag === undefined ? "" : String(tag.value);
}

function statusOf(span: JaegerSpan): string {
  const grpc = tagText(span, "rpc.grpc.status_code");
  if (grpc !== "") return statusName(Number(grpc));
  return tagText(span, "http.response.status_code") || (isFailed(span) ? "ERROR" : "");
}

function peerOf(span: JaegerSpan): string {
  const [address, port] = tagText(span, "network.peer.address")
    ? ["network.peer.address", "network.peer.port"]
    : ["server.address", "server.port"];
  const host = tagText(span, address ?? "");
  const number = tagText(span, port ?? "");
  if (tagText(span, "span.kind") !== "client" || host === "") return "";
  return number === "" ? host : `${host}:${number}`;
}
