import { toBinary } from "@bufbuild/protobuf";
import { ExportTraceServiceRequestSchema } from "@weft/contracts/opentelemetry/proto/collector/trace/v1";
import { expect, test } from "vitest";
import { orderSpans, sampleRequest, spanIdOf } from "../testing/sample-order.js";
import { type RunningTraceStore, startTraceStore } from "../testing/start-trace-store.js";
import type { JaegerTrace } from "./jaeger-json.js";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";

async function storeWithOrder(): Promise<RunningTraceStore> {
  const store = await startTraceStore();
  const request = sampleRequest(traceId, Date.now() - 1_000, orderSpans);
  const body = new Uint8Array(toBinary(ExportTraceServiceRequestSchema, request));
  const headers = { "content-type": "application/x-protobuf" };
  await fetch(`${store.otlpUrl}/v1/traces`, { method: "POST", body, headers });
  return store;
}

interface Envelope {
  data: unknown;
  total: number;
  errors: { code: number; msg: string }[] | null;
}

async function get(store: RunningTraceStore, path: string): Promise<{ status: number; body: Envelope }> {
  const response = await fetch(`${store.queryUrl}${path}`);
  const body: Envelope = JSON.parse(await response.text());
  return { status: response.status, body };
}

async function tracesAt(store: RunningTraceStore, path: string): Promise<JaegerTrace[]> {
  const response = await fetch(`${store.queryUrl}${path}`);
  const body: { data: JaegerTrace[] } = JSON.parse(await response.text());
  return body.data;
}

test("a trace has Jaeger's shape: processes, references, typed tags, logs, microseconds", async () => {
  await using store = await storeWithOrder();
  const [trace] = await tracesAt(store, `/api/traces/${traceId}`);
  const failed = trace?.spans.find((span) => span.spanID === spanIdOf(6));
  expect(failed?.references).toEqual([{ refType: "CHILD_OF", traceID: traceId, spanID: spanIdOf(3) }]);
  expect(failed?.duration).toBe(3_000);
  expect(failed?.tags).toContainEqual({ key: "error", type: "bool", value: true });
  expect(failed?.tags).toContainEqual({ key: "otel.status_description", type: "string", value: "connection reset" });
  expect(failed?.tags).toContainEqual({ key: "server.port", type: "int64", value: 8080 });
  expect(trace?.processes[failed?.processID ?? ""]?.serviceName).toBe("orders");
  const linked = trace?.spans.find((span) => span.spanID === spanIdOf(8));
  expect(linked?.references.map((reference) => reference.refType)).toEqual(["CHILD_OF", "FOLLOWS_FROM"]);
  expect(linked?.logs[0]?.fields).toContainEqual({ key: "event", type: "string", value: "rows locked" });
});

test("a trace is found by service, operation, tags, duration and time", async () => {
  await using store = await storeWithOrder();
  const found = async (query: string): Promise<number> => (await tracesAt(store, `/api/traces?${query}`)).length;
  expect(await found("service=orders")).toBe(1);
  expect(await found("service=nobody")).toBe(0);
  expect(await found(`service=inventory&operation=${encodeURIComponent("update stock")}`)).toBe(1);
  expect(await found(`service=orders&tags=${encodeURIComponent('{"error":"true"}')}`)).toBe(1);
  expect(await found("service=orders&tags=error%3Dtrue%20weft.attempt%3D2")).toBe(0);
  expect(await found("service=orders&tag=weft.attempt:2&minDuration=13.9ms&maxDuration=14ms")).toBe(1);
  expect(await found("service=orders&minDuration=1s")).toBe(0);
  expect(await found("service=orders&lookback=1ms")).toBe(0);
  expect(await found(`service=orders&end=${Date.now() * 1_000}&start=${(Date.now() - 60_000) * 1_000}`)).toBe(1);
  expect(await found(`traceID=${traceId}`)).toBe(1);
});

test("services, operations and dependencies are listed", async () => {
  await using store = await storeWithOrder();
  expect((await get(store, "/api/services")).body.data).toEqual(["catalog", "gateway", "inventory", "orders"]);
  expect((await get(store, "/api/services/inventory/operations")).body.data).toEqual([
    "shop.inventory.v1.InventoryService/Reserve",
    "update stock",
  ]);
  expect((await get(store, "/api/operations?service=inventory&spanKind=server")).body.data).toEqual([
    { name: "shop.inventory.v1.InventoryService/Reserve", spanKind: "server" },
  ]);
  const { body } = await get(store, `/api/dependencies?endTs=${Date.now()}&lookback=60000`);
  expect(body.data).toContainEqual({ parent: "gateway", child: "orders", callCount: 1 });
});

test("a bad parameter is named, with status 400", async () => {
  await using store = await startTraceStore();
  const cases: readonly (readonly [string, string])[] = [
    ["/api/traces", "service"],
    ["/api/traces?service=a&limit=0", "limit"],
    ["/api/traces?service=a&limit=1e9", "limit"],
    ["/api/traces?service=a&start=yesterday", "start"],
    ["/api/traces?service=a&minDuration=5", "minDuration"],
    ["/api/traces?service=a&minDuration=2s&maxDuration=1s", "maxDuration"],
    ["/api/traces?service=a&lookback=soon", "lookback"],
    ["/api/traces?service=a&tag=x", "tag"],
    ["/api/traces?service=a&tags=%7Bx", "tags"],
    ["/api/traces?service=a&tags=%7B%22a%22%3A1%7D", "tags"],
    ["/api/traces?service=a&tags=lonely", "tags"],
    ["/api/traces/not-hex", "not-hex"],
    ["/api/dependencies?endTs=x", "endTs"],
    ["/api/operations", "service"],
    ["/api/operations?service=a&spanKind=sideways", "spanKind"],
  ];
  for (const [path, named] of cases) {
    const { status, body } = await get(store, path);
    expect({ path, status }).toEqual({ path, status: 400 });
    expect(body.errors?.[0]?.code).toBe(400);
    expect(body.errors?.[0]?.msg).toContain(named);
  }
});

test("what is not there is 404, and writing is 405", async () => {
  await using store = await startTraceStore();
  expect((await get(store, `/api/traces/${traceId}`)).status).toBe(404);
  expect((await get(store, "/api/nothing")).status).toBe(404);
  expect((await get(store, "/trace/../../etc/passwd")).status).toBe(404);
  expect((await fetch(`${store.queryUrl}/api/services`, { method: "POST" })).status).toBe(405);
});

test("the page allows nothing but its own style, script and origin", async () => {
  await using store = await startTraceStore();
  for (const path of ["/", `/trace/${traceId}`]) {
    const response = await fetch(`${store.queryUrl}${path}`);
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toMatch(/script-src 'sha256-[^' ]+'(;|$)/);
    expect(policy).not.toContain("unsafe");
    expect(await response.text()).toContain("<style>a{}</style>");
  }
});
