import { gzipSync } from "node:zlib";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ExportTraceServiceRequestSchema,
  ExportTraceServiceResponseSchema,
} from "@weft/contracts/opentelemetry/proto/collector/trace/v1";
import { expect, test } from "vitest";
import { orderSpans, sampleRequest } from "../testing/sample-order.js";
import { startTraceStore } from "../testing/start-trace-store.js";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const protobuf = { "content-type": "application/x-protobuf" };

function sample(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(toBinary(ExportTraceServiceRequestSchema, sampleRequest(traceId, Date.now(), orderSpans)));
}

function send(url: string, body: BodyInit, headers: Record<string, string> = protobuf): Promise<Response> {
  return fetch(url, { method: "POST", body, headers });
}

async function spansKept(queryUrl: string): Promise<number> {
  const response = await fetch(`${queryUrl}/api/traces/${traceId}`);
  const body: { data: { spans: unknown[] }[] | null } = JSON.parse(await response.text());
  return body.data?.[0]?.spans.length ?? 0;
}

test("protobuf is kept, plain and gzipped, and answered in protobuf", async () => {
  await using store = await startTraceStore();
  for (const [body, headers] of [
    [sample(), protobuf],
    [new Uint8Array(gzipSync(sample())), { ...protobuf, "content-encoding": "gzip" }],
  ] as const) {
    const response = await send(`${store.otlpUrl}/v1/traces`, body, headers);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/x-protobuf");
    const reply = fromBinary(ExportTraceServiceResponseSchema, new Uint8Array(await response.arrayBuffer()));
    expect(reply.partialSuccess).toBeUndefined();
  }
  expect(await spansKept(store.queryUrl)).toBe(orderSpans.length);
});

test("JSON with ids in hex is kept and answered in JSON", async () => {
  await using store = await startTraceStore();
  const body = JSON.stringify({
    resourceSpans: [
      { scopeSpans: [{ spans: [{ traceId, spanId: "00f067aa0ba902b7", name: "x", kind: 2, newField: 1 }] }] },
    ],
  });
  const response = await send(`${store.otlpUrl}/v1/traces`, body, {
    "content-type": "application/json; charset=utf-8",
  });
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({});
  expect(await spansKept(store.queryUrl)).toBe(1);
});

test("spans that can't be kept are counted and explained, the others kept", async () => {
  await using store = await startTraceStore();
  const request = sampleRequest(traceId, Date.now(), orderSpans);
  const first = request.resourceSpans[0]?.scopeSpans[0]?.spans[0];
  if (first !== undefined) first.traceId = new Uint8Array(16);
  const response = await send(
    `${store.otlpUrl}/v1/traces`,
    new Uint8Array(toBinary(ExportTraceServiceRequestSchema, request)),
  );
  expect(response.status).toBe(200);
  const { partialSuccess } = fromBinary(ExportTraceServiceResponseSchema, new Uint8Array(await response.arrayBuffer()));
  expect(partialSuccess?.rejectedSpans).toBe(1n);
  expect(partialSuccess?.errorMessage).toContain("trace id");
  expect(await spansKept(store.queryUrl)).toBe(orderSpans.length - 1);
});

test("metrics and logs are taken and dropped", async () => {
  await using store = await startTraceStore();
  for (const path of ["/v1/metrics", "/v1/logs"]) {
    const response = await send(`${store.otlpUrl}${path}`, new Uint8Array([1, 2, 3]));
    expect(response.status).toBe(200);
    expect((await response.arrayBuffer()).byteLength).toBe(0);
  }
});

test("what is wrong with a request is said with the right status, and the store stays up", async () => {
  await using store = await startTraceStore({ env: { WEFT_OTLP_MAX_BODY: "64KiB", WEFT_OTLP_MAX_DECODED: "256KiB" } });
  const url = `${store.otlpUrl}/v1/traces`;
  const bomb = new Uint8Array(gzipSync(Buffer.alloc(8 * 1024 * 1024)));
  const cases: readonly (readonly [number, Promise<Response>])[] = [
    [400, send(url, new Uint8Array([255, 255, 255]))],
    [400, send(url, "{", { "content-type": "application/json" })],
    [400, send(url, "not gzip", { ...protobuf, "content-encoding": "gzip" })],
    [413, send(url, new Uint8Array(65 * 1024))],
    [413, send(url, bomb, { ...protobuf, "content-encoding": "gzip" })],
    [415, send(url, "x", { "content-type": "text/plain" })],
    [415, send(url, "x", { ...protobuf, "content-encoding": "br" })],
    [405, fetch(url)],
    [404, send(`${store.otlpUrl}/v1/profiles`, "x")],
  ];
  for (const [status, asked] of cases) expect((await asked).status).toBe(status);
  expect((await send(url, sample())).status).toBe(200);
});

test("a body without a length that grows too large is cut off", async () => {
  await using store = await startTraceStore({ env: { WEFT_OTLP_MAX_BODY: "16KiB" } });
  const chunks = new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.enqueue(new Uint8Array(8 * 1024));
    },
  });
  const init = { method: "POST", body: chunks, headers: protobuf, duplex: "half" } as const;
  // The connection may break before the answer is read: both mean that it was cut off.
  const status = await fetch(`${store.otlpUrl}/v1/traces`, init).then(
    (response) => response.status,
    () => 413,
  );
  expect(status).toBe(413);
});
