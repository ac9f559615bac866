import { expect, test } from "vitest";
import { fromOtlp } from "../otlp/from-otlp.js";
import { orderSpans, type SampleSpan, sampleRequest } from "../testing/sample-order.js";
import type { StoredSpan } from "./span.js";
import { createTraceStore, type TraceStore } from "./trace-store.js";

const startMs = 1_700_000_000_000;

function spansOf(traceId: string, spans: readonly SampleSpan[] = orderSpans, atMs = startMs): readonly StoredSpan[] {
  return [...fromOtlp(sampleRequest(traceId, atMs, spans))].flatMap((received) =>
    received.t === "span" ? [received.span] : [],
  );
}

function idOf(n: number): string {
  return n.toString(16).padStart(32, "0");
}

function fill(store: TraceStore, n: number): void {
  for (const span of spansOf(idOf(n), orderSpans, startMs + n)) store.add(span);
}

test("the oldest trace goes first when the memory is used up, whole, and its operations with it", () => {
  const sample = createTraceStore({ maxBytes: 1e6 });
  fill(sample, 1);
  const one = sample.stats.bytes;
  const store = createTraceStore({ maxBytes: one * 3.5, maxTraceBytes: one * 2 });
  store.add(spansOf(idOf(1), [{ id: 1, service: "only-here", name: "x", fromMs: 0, toMs: 1 }])[0] ?? fail());
  for (let n = 2; n <= 6; n++) fill(store, n);
  expect(store.get(idOf(1))).toBeUndefined();
  expect(store.get(idOf(2))).toBeUndefined();
  expect(store.get(idOf(6))?.spans).toHaveLength(orderSpans.length);
  expect(store.stats.bytes).toBeLessThanOrEqual(one * 3.5);
  expect(store.services()).toEqual(["catalog", "gateway", "inventory", "orders"]);
});

test("a span that comes late joins its trace", () => {
  const store = createTraceStore({ maxBytes: 1e6 });
  const [first, ...rest] = spansOf(idOf(1));
  for (const span of rest) store.add(span);
  fill(store, 2);
  store.add(first ?? fail());
  expect(store.get(idOf(1))?.spans).toHaveLength(orderSpans.length);
});

test("a span sent twice counts once", () => {
  const store = createTraceStore({ maxBytes: 1e6 });
  const spans = spansOf(idOf(1));
  for (const span of spans) store.add(span);
  const before = store.stats;
  for (const span of spans) store.add({ ...span });
  expect(store.stats).toEqual(before);
});

test("one trace can't push out all others: beyond its share its spans are refused", () => {
  const store = createTraceStore({ maxBytes: 100_000 });
  fill(store, 1);
  const endless = Array.from({ length: 500 }, (_, id) => ({
    id: id + 1,
    service: "loop",
    name: "x",
    fromMs: 0,
    toMs: 1,
  }));
  const taken = spansOf(idOf(2), endless).filter((span) => store.add(span));
  expect(taken.length).toBeGreaterThan(10);
  expect(taken.length).toBeLessThan(500);
  expect(store.get(idOf(1))).toBeDefined();
});

test("what the spans of a process share counts too: huge resources can't fill the memory", () => {
  const store = createTraceStore({ maxBytes: 1_000_000 });
  for (let n = 1; n <= 200; n++) {
    const [span] = spansOf(idOf(n), [
      { id: 1, service: `service-${n}-${"x".repeat(50_000)}`, name: "x", fromMs: 0, toMs: 1 },
    ]);
    store.add(span ?? fail());
  }
  const kept = store.services().reduce((sum, service) => sum + service.length, 0);
  expect(kept).toBeLessThan(1_000_000);
  expect(store.stats.traces).toBeGreaterThan(5);
  expect(
    store.add(
      spansOf(idOf(999), [{ id: 1, service: "y".repeat(300_000), name: "x", fromMs: 0, toMs: 1 }])[0] ?? fail(),
    ),
  ).toBe(false);
});

test("a search asks one span to meet everything", () => {
  const store = createTraceStore({ maxBytes: 1e6 });
  fill(store, 1);
  const base = { service: "orders", tags: new Map<string, string>(), startUs: 0, endUs: 2e15, limit: 10 };
  const found = (query: object): number => store.find({ ...base, ...query }).length;
  expect(found({})).toBe(1);
  expect(found({ tags: new Map([["error", "true"]]) })).toBe(1);
  expect(found({ service: "catalog", tags: new Map([["error", "true"]]) })).toBe(0);
  expect(found({ tags: new Map([["weft.attempt", "2"]]), minDurationUs: 10_000 })).toBe(1);
  expect(found({ tags: new Map([["weft.attempt", "2"]]), minDurationUs: 20_000 })).toBe(0);
  expect(found({ operation: "update stock" })).toBe(0);
  expect(found({ tags: new Map([["k8s.pod.name", "orders-0"]]) })).toBe(1);
  expect(found({ endUs: startMs * 1_000 - 1 })).toBe(0);
});

test("the newest traces are found first, as many as asked for", () => {
  const store = createTraceStore({ maxBytes: 1e7 });
  for (const n of [3, 1, 5, 2, 4]) fill(store, n);
  const found = store.find({ service: "orders", tags: new Map(), startUs: 0, endUs: 2e15, limit: 3 });
  expect(found.map((trace) => trace.traceId)).toEqual([idOf(5), idOf(4), idOf(3)]);
});

test("calls are counted from parent to child, within the period", () => {
  const store = createTraceStore({ maxBytes: 1e7 });
  fill(store, 1);
  fill(store, 2);
  const edges = store.dependencies(startMs * 1_000, (startMs + 10) * 1_000);
  expect(edges).toContainEqual({ parent: "gateway", child: "orders", callCount: 2 });
  expect(edges).toContainEqual({ parent: "orders", child: "inventory", callCount: 2 });
  expect(store.dependencies(0, 1)).toEqual([]);
});

function fail(): never {
  throw new Error("sample without spans");
}
