import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import { ExportTraceServiceRequestSchema } from "@weft/contracts/opentelemetry/proto/collector/trace/v1";
import { eventually } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { orderSpans, sampleRequest } from "../testing/sample-order.js";
import { startTraceStore } from "../testing/start-trace-store.js";

const jaegerPath = join(process.env["WEFT_TOOLS"] ?? "/nonexistent", "jaeger");

interface Jaeger extends AsyncDisposable {
  readonly otlpUrl: string;
  readonly queryUrl: string;
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  return Promise.all(
    servers.map(async (server) => {
      const address = server.address();
      await new Promise((resolve) => server.close(resolve));
      return typeof address === "object" && address !== null ? address.port : 0;
    }),
  );
}

async function startJaeger(): Promise<Jaeger> {
  const [http, grpc, otlpHttp, otlpGrpc, health, metrics] = await freePorts(6);
  const settings = {
    "extensions.jaeger_query.http.endpoint": `127.0.0.1:${http}`,
    "extensions.jaeger_query.grpc.endpoint": `127.0.0.1:${grpc}`,
    "receivers.otlp.protocols.http.endpoint": `127.0.0.1:${otlpHttp}`,
    "receivers.otlp.protocols.grpc.endpoint": `127.0.0.1:${otlpGrpc}`,
    "extensions.healthcheckv2.http.endpoint": `127.0.0.1:${health}`,
    "service.telemetry.metrics.readers": `[{pull: {exporter: {prometheus: {host: 127.0.0.1, port: ${metrics}}}}}]`,
  };
  const args = Object.entries(settings).map(([key, value]) => `--set=${key}=${value}`);
  const child: ChildProcess = spawn(jaegerPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-4_000);
  });
  const queryUrl = `http://127.0.0.1:${http}`;
  const dispose = async (): Promise<void> => {
    const gone = new Promise((resolve) => child.once("exit", resolve));
    if (child.exitCode === null && child.kill("SIGKILL")) await gone;
  };
  try {
    await eventually(async () => (await fetch(`${queryUrl}/api/services`)).ok, { ceilingMs: 20_000, what: "jaeger" });
  } catch (error) {
    await dispose();
    throw new Error(`jaeger did not start: ${log}`, { cause: error });
  }
  return { queryUrl, otlpUrl: `http://127.0.0.1:${otlpHttp}`, [Symbol.asyncDispose]: dispose };
}

/** The same JSON whatever the order of lists and the names of processes: traces name theirs p1, p2 in the order they happen on. */
function normal(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(normal).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value);
  const processes: unknown = entries.find(([key]) => key === "processes")?.[1];
  if (typeof processes === "object" && processes !== null) {
    const named = new Map(Object.entries(processes));
    const spans = entries.find(([key]) => key === "spans")?.[1];
    return normal([
      entries.filter(([key]) => key !== "spans" && key !== "processes"),
      Array.isArray(spans) ? spans.map((span) => ({ ...span, processID: named.get(span.processID) })) : spans,
    ]);
  }
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, normal(inner)]));
}

async function answerOf(base: string, path: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(base + path);
  return { status: response.status, body: normal(JSON.parse(await response.text())) };
}

test.skipIf(!existsSync(jaegerPath))(
  "the same spans sent to Jaeger and to the trace store give the same answers (needs jaeger in WEFT_TOOLS)",
  { timeout: 60_000 },
  async () => {
    await using jaeger = await startJaeger();
    await using store = await startTraceStore();
    const startMs = Date.now() - 60_000;
    const ids = ["4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"];
    for (const [index, id] of ids.entries()) {
      const request = sampleRequest(id, startMs + index * 1_000, orderSpans);
      const body = new Uint8Array(toBinary(ExportTraceServiceRequestSchema, request));
      for (const url of [jaeger.otlpUrl, store.otlpUrl]) {
        const headers = { "content-type": "application/x-protobuf" };
        const response = await fetch(`${url}/v1/traces`, { method: "POST", body, headers });
        expect(response.status).toBe(200);
        expect(response.headers.get("content-type")).toBe("application/x-protobuf");
      }
    }
    const good = [
      "/api/services",
      "/api/services/orders/operations",
      "/api/operations?service=inventory",
      "/api/operations?service=inventory&spanKind=server",
      `/api/traces/${ids[0]}`,
      `/api/traces?traceID=${ids[1]}`,
      "/api/traces?service=orders&lookback=1h",
      "/api/traces?service=nobody",
      `/api/traces?service=inventory&operation=${encodeURIComponent("update stock")}`,
      "/api/traces?service=orders&tag=weft.attempt:2",
      "/api/traces?service=orders&minDuration=13.9ms&maxDuration=14.1ms",
      "/api/traces?service=orders&minDuration=1s",
      `/api/traces?service=orders&start=${(startMs - 500) * 1_000}&end=${(startMs + 500) * 1_000}`,
      `/api/dependencies?endTs=${Date.now()}&lookback=3600000`,
      "/api/traces/00000000000000000000000000000001",
    ];
    await eventually(
      async () => {
        for (const path of good) {
          expect({ path, ...(await answerOf(store.queryUrl, path)) }).toEqual({
            path,
            ...(await answerOf(jaeger.queryUrl, path)),
          });
        }
        return true;
      },
      { ceilingMs: 10_000 },
    );
    // Wrong parameters: the same status; the words are our own.
    for (const path of [
      "/api/traces",
      "/api/traces/zz",
      "/api/traces?service=a&limit=x",
      "/api/traces?service=a&start=x",
      "/api/traces?service=a&minDuration=5",
      "/api/traces?service=a&minDuration=2s&maxDuration=1s",
      "/api/traces?service=a&tag=x",
      "/api/traces?service=a&tags=%7Bx",
      "/api/dependencies?endTs=x",
      "/api/operations",
    ]) {
      expect({ path, status: (await answerOf(store.queryUrl, path)).status }).toEqual({
        path,
        status: (await answerOf(jaeger.queryUrl, path)).status,
      });
    }
  },
);
