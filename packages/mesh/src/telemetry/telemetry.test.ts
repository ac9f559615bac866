import { AsyncLocalStorage } from "node:async_hooks";
import {
  type Context,
  type ContextManager,
  context,
  propagation,
  ROOT_CONTEXT,
  type TextMapPropagator,
  trace,
} from "@opentelemetry/api";
import { FakeClock } from "@weft/foundation/testing";
import { StatusCode } from "@weft/wire";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTelemetry } from "./telemetry.js";
import { recordMeter, recordTracer } from "./testing/recorders.js";

/** `traceparent` alone, of W3C's form, and one field of baggage. */
const w3c: TextMapPropagator = {
  fields: () => ["traceparent", "baggage"],
  inject(from, carrier, setter) {
    const span = trace.getSpanContext(from);
    if (span !== undefined) setter.set(carrier, "traceparent", `00-${span.traceId}-${span.spanId}-01`);
    const tenant = propagation.getBaggage(from)?.getEntry("tenant")?.value;
    if (tenant !== undefined) setter.set(carrier, "baggage", `tenant=${tenant}`);
  },
  extract(into, carrier, getter) {
    const [, traceId = "", spanId = ""] = String(getter.get(carrier, "traceparent")).split("-");
    const tenant = String(getter.get(carrier, "baggage") ?? "").split("=")[1];
    const withSpan = trace.setSpanContext(into, { traceId, spanId, traceFlags: 1, isRemote: true });
    return tenant === undefined
      ? withSpan
      : propagation.setBaggage(withSpan, propagation.createBaggage({ tenant: { value: tenant } }));
  },
};

const storage = new AsyncLocalStorage<Context>();
const manager: ContextManager = {
  active: () => storage.getStore() ?? ROOT_CONTEXT,
  with: (active, work, thisArg, ...args) => storage.run(active, () => work.apply(thisArg, args)),
  bind: (_context, target) => target,
  enable: () => manager,
  disable: () => manager,
};

beforeAll(() => {
  propagation.setGlobalPropagator(w3c);
  context.setGlobalContextManager(manager);
});
afterAll(() => {
  propagation.disable();
  context.disable();
});

const path = "/shop.orders.v1.OrderService/PlaceOrder";
const ok = { code: StatusCode.ok, message: "" };

describe("telemetry of calls", () => {
  test("a client's call and its server's are one trace, and baggage goes along", () => {
    const { tracer, spans } = recordTracer();
    const telemetry = createTelemetry({ tracer, clock: new FakeClock() });
    const baggage = propagation.createBaggage({ tenant: { value: "t1" } });
    context.with(propagation.setBaggage(ROOT_CONTEXT, baggage), () => {
      const call = telemetry.clientCall({ path, target: "orders", host: "orders.shop", port: 8080 });
      const attempt = call.attempt(1, "10.0.0.7:8080");
      const metadata = attempt.inject([
        ["x-a", "1"],
        ["traceparent", "stale"],
      ]);
      expect(metadata.filter(([name]) => name === "traceparent")).toHaveLength(1);
      const served = telemetry.serverCall({ path, metadata, peer: "10.0.0.9:50123", host: "10.0.0.7", port: 8080 });
      expect(propagation.getBaggage(served.context)?.getEntry("tenant")?.value).toBe("t1");
      served.end(ok);
      attempt.end(ok);
      call.end(ok);
    });
    const [client, server] = spans;
    expect(client).toMatchObject({
      name: "shop.orders.v1.OrderService/PlaceOrder",
      kind: "client",
      parentSpanId: undefined,
    });
    expect(server).toMatchObject({ kind: "server", traceId: client?.traceId, parentSpanId: client?.spanId });
    expect(client?.attributes).toEqual({
      "rpc.system": "grpc",
      "rpc.service": "shop.orders.v1.OrderService",
      "rpc.method": "PlaceOrder",
      "rpc.grpc.status_code": 0,
      "server.address": "orders.shop",
      "server.port": 8080,
      "network.peer.address": "10.0.0.7",
      "network.peer.port": 8080,
      "weft.attempt": 1,
    });
    expect(server?.attributes).toMatchObject({ "network.peer.address": "10.0.0.9", "server.port": 8080 });
  });

  test("a client's span is the child of the one that is active", () => {
    const { tracer, spans } = recordTracer();
    const telemetry = createTelemetry({ tracer });
    const served = telemetry.serverCall({ path, metadata: [], peer: "p:1", host: "h", port: 1 });
    context.with(served.context, () => telemetry.clientCall({ path, target: "a", host: "a" }).end(ok));
    expect(spans[1]?.parentSpanId).toBe(spans[0]?.spanId);
  });

  test("a retried call is one span that names its last attempt and tells of the ones that failed", () => {
    const { tracer, spans } = recordTracer();
    const telemetry = createTelemetry({ tracer });
    const call = telemetry.clientCall({ path, target: "orders", host: "orders.shop" });
    call.attempt(1, "[::1]:1").end({ code: StatusCode.unavailable, message: "gone" });
    call.attempt(2, "10.0.0.8:2").end(ok);
    call.end(ok);
    expect(spans[0]?.attributes).toMatchObject({ "weft.attempt": 2, "network.peer.address": "10.0.0.8" });
    expect(spans[0]?.events).toMatchObject([
      {
        name: "attempt failed",
        attributes: { "weft.attempt": 1, "rpc.grpc.status_code": 14, "network.peer.address": "::1" },
      },
    ]);
    expect(spans[0]?.error).toBeUndefined();
  });

  test("to a client every code but OK is an error, to a server only its own faults", () => {
    const { tracer, spans } = recordTracer();
    const telemetry = createTelemetry({ tracer });
    for (const code of [StatusCode.notFound, StatusCode.internal]) {
      telemetry.serverCall({ path, metadata: [], peer: "p:1", host: "h", port: 1 }).end({ code, message: "why" });
      telemetry.clientCall({ path, target: "a", host: "a" }).end({ code, message: "why" });
    }
    expect(spans.map((span) => span.error)).toEqual([undefined, "why", "why", "why"]);
  });

  test("metrics have the names and labels of gRFC A66, and count once", async () => {
    const { meter, records } = recordMeter();
    const clock = new FakeClock();
    const telemetry = createTelemetry({ meter, clock });
    const served = telemetry.serverCall({ path, metadata: [], peer: "p:1", host: "h", port: 1 });
    const call = telemetry.clientCall({ path, target: "orders", host: "orders.shop" });
    const attempt = call.attempt(1, "p:1");
    for (const each of [served, attempt]) {
      each.sent(10);
      each.sent(5);
      each.received(3);
    }
    await clock.advance(250);
    for (const each of [served, attempt, call]) {
      each.end({ code: StatusCode.notFound, message: "" });
      each.end(ok);
    }
    const method = { "grpc.method": "shop.orders.v1.OrderService/PlaceOrder" };
    const server = { ...method, "grpc.status": "NOT_FOUND" };
    const client = { ...server, "grpc.target": "orders" };
    expect(records).toEqual([
      ["grpc.server.call.started", 1, method],
      ["grpc.client.attempt.started", 1, { ...method, "grpc.target": "orders" }],
      ["grpc.server.call.duration", 0.25, server],
      ["grpc.server.call.sent_total_compressed_message_size", 15, server],
      ["grpc.server.call.rcvd_total_compressed_message_size", 3, server],
      ["grpc.client.attempt.duration", 0.25, client],
      ["grpc.client.attempt.sent_total_compressed_message_size", 15, client],
      ["grpc.client.attempt.rcvd_total_compressed_message_size", 3, client],
      ["grpc.client.call.duration", 0.25, client],
    ]);
  });
});
