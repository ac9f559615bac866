import { expect, test } from "vitest";
import { fromOtlp } from "../../otlp/from-otlp.js";
import { type JaegerTrace, toJaegerTrace } from "../../query/jaeger-json.js";
import { createTraceStore } from "../../store/trace-store.js";
import { orderSpans, type SampleSpan, sampleRequest, spanIdOf } from "../../testing/sample-order.js";
import { formatDuration } from "./format.js";
import { buildTrace, failureOrigin, splitName, timeByService, walk } from "./trace-model.js";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";

function traceOf(spans: readonly SampleSpan[]): JaegerTrace {
  const store = createTraceStore({ maxBytes: 1e7 });
  for (const received of fromOtlp(sampleRequest(traceId, 1_700_000_000_000, spans)))
    if (received.t === "span") store.add(received.span);
  const trace = store.get(traceId);
  if (trace === undefined) throw new Error("sample without spans");
  return toJaegerTrace(trace);
}

test("a trace becomes one tree, with its failures and retries counted", () => {
  const model = buildTrace(traceOf(orderSpans));
  expect(model.roots).toHaveLength(1);
  expect([...walk(model.roots)].map((node) => node.id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].map(spanIdOf));
  expect(model.services).toEqual(["gateway", "orders", "catalog", "inventory"]);
  expect({ failures: model.failures, retries: model.retries, orphans: model.orphans }).toEqual({
    failures: 1,
    retries: 1,
    orphans: 0,
  });
});

test("a span whose parent has not come stands as a root and says so", () => {
  const model = buildTrace(traceOf(orderSpans.filter((span) => span.id !== 3)));
  expect(model.roots.map((root) => root.id)).toContain(spanIdOf(1));
  expect(model.orphans).toBe(3);
});

test("the longest chain covers the root once, and each service's share is its own work on it", () => {
  const model = buildTrace(traceOf(orderSpans));
  const total = model.critical.reduce((sum, part) => sum + part.toUs - part.fromUs, 0);
  expect(total).toBe(41_000);
  expect(timeByService(model)).toEqual([
    { service: "orders", us: 19_000 },
    { service: "inventory", us: 12_000 },
    { service: "gateway", us: 5_000 },
    { service: "catalog", us: 5_000 },
  ]);
});

test("the origin of a failure is the deepest failed span under the last one that failed", () => {
  const failing = orderSpans.map((span) =>
    [1, 2, 3, 7, 8].includes(span.id) ? { ...span, error: "out of stock" } : span,
  );
  expect(failureOrigin(buildTrace(traceOf(failing)))?.node.id).toBe(spanIdOf(8));
  expect(failureOrigin(buildTrace(traceOf(orderSpans)))?.node.id).toBe(spanIdOf(6));
  expect(failureOrigin(buildTrace(traceOf(orderSpans.slice(0, 2))))).toBeUndefined();
});

test("a call refused for its caller's fault is shown as failed on both sides, and every attempt after the first is a retry", () => {
  const refused = { "rpc.grpc.status_code": 9, "weft.attempt": 3 };
  const model = buildTrace(
    traceOf([
      { id: 1, service: "a", name: "x", kind: "client", fromMs: 0, toMs: 2, attributes: refused, error: "1 left" },
      { id: 2, parent: 1, service: "b", name: "x", kind: "server", fromMs: 0, toMs: 1, attributes: refused },
    ]),
  );
  expect(model.failures).toBe(2);
  expect(model.retries).toBe(2);
  expect(failureOrigin(model)?.node.id).toBe(spanIdOf(2));
  expect(failureOrigin(model)?.node.status).toBe("FAILED_PRECONDITION");
  expect(failureOrigin(model)?.message).toBe("1 left");
});

test("spans that are each other's parent do not hang the page", () => {
  const model = buildTrace(
    traceOf([
      { id: 1, parent: 2, service: "a", name: "x", fromMs: 0, toMs: 1 },
      { id: 2, parent: 1, service: "a", name: "y", fromMs: 0, toMs: 1 },
    ]),
  );
  expect(model.count).toBe(2);
});

test("names and durations read well", () => {
  expect(splitName("shop.orders.v1.OrderService/PlaceOrder")).toEqual({ prefix: "OrderService", title: "PlaceOrder" });
  expect(splitName("POST /shop.orders.v1.OrderService/PlaceOrder").prefix).toBe("POST OrderService");
  expect(splitName("insert order")).toEqual({ prefix: "", title: "insert order" });
  expect([0, 840, 41_300, 2_050_000, 200_000_000].map(formatDuration)).toEqual([
    "0 µs",
    "840 µs",
    "41.3 ms",
    "2.05 s",
    "3 min 20 s",
  ]);
});
