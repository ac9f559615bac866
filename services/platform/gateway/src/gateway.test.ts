import { once } from "node:events";
import { Agent, type IncomingMessage, request } from "node:http";
import { connect as connectHttp2, constants } from "node:http2";
import { connect as connectTcp } from "node:net";
import { gzipSync } from "node:zlib";
import {
  Code,
  ConnectError,
  createClient,
  createRouterTransport,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { luhnCompleted } from "@weft/chassis/testing";
import { CatalogService } from "@weft/contracts/shop/catalog/v1";
import { InventoryService, OutOfStockDetailSchema } from "@weft/contracts/shop/inventory/v1";
import { OrderService, OrderState } from "@weft/contracts/shop/orders/v1";
import { eventually } from "@weft/foundation/testing";
import { currentCallScope } from "@weft/mesh";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createGateway, type Gateway, type GatewayOptions } from "./gateway.js";
import { shopServices } from "./operation/contracts.js";

/** What the services behind a fake mesh saw and do. */
interface Backend {
  readonly headers: Headers[];
  readonly users: (string | undefined)[];
  readonly targets: string[];
  ended: number;
  placeOrder(signal: AbortSignal): Promise<void>;
}

function createBackend(): Backend {
  return { headers: [], users: [], targets: [], ended: 0, placeOrder: async () => {} };
}

function meshOf(backend: Backend): { to(target: string): Transport } {
  const transport = createRouterTransport((router) => {
    router.service(OrderService, {
      async placeOrder(request, context) {
        backend.headers.push(context.requestHeader);
        backend.users.push(currentCallScope()?.user);
        await backend.placeOrder(context.signal);
        context.responseHeader.set("x-inside", "secret");
        return { order: { orderId: request.idempotencyKey, version: 9_007_199_254_740_993n } };
      },
      async *watchOrder(_, context) {
        try {
          for (let version = 1n; !context.signal.aborted; version += 1n) {
            yield { order: { state: OrderState.PLACED, version } };
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
        } finally {
          backend.ended += 1;
        }
      },
    });
    router.service(CatalogService, {
      getProduct: ({ productId }) => ({ product: { productId } }),
    });
    router.service(InventoryService, { reserve: () => ({}) });
  });
  return {
    to(target) {
      backend.targets.push(target);
      return transport;
    },
  };
}

let backend: Backend;
let gateway: Gateway;
let origin: string;

async function start(options: Partial<GatewayOptions> = {}): Promise<void> {
  gateway = await createGateway({
    services: shopServices,
    mesh: meshOf(backend),
    host: "127.0.0.1",
    port: 0,
    origins: ["https://shop.example"],
    ...options,
  });
  origin = `http://127.0.0.1:${gateway.port}`;
}

beforeEach(async () => {
  backend = createBackend();
  await start();
});
afterEach(async () => {
  await gateway[Symbol.asyncDispose]();
});

const addHeaders =
  (entries: Readonly<Record<string, string>>): Interceptor =>
  (next) =>
  (request) => {
    for (const [name, value] of Object.entries(entries)) request.header.set(name, value);
    return next(request);
  };

const transports: Readonly<Record<string, (baseUrl: string, headers?: Record<string, string>) => Transport>> = {
  "Connect over HTTP/1.1": (baseUrl, headers = {}) =>
    createConnectTransport({ baseUrl, httpVersion: "1.1", interceptors: [addHeaders(headers)] }),
  "Connect over HTTP/2": (baseUrl, headers = {}) =>
    createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: true, interceptors: [addHeaders(headers)] }),
  "gRPC-Web": (baseUrl, headers = {}) =>
    createGrpcWebTransport({ baseUrl, httpVersion: "1.1", interceptors: [addHeaders(headers)] }),
  gRPC: (baseUrl, headers = {}) => createGrpcTransport({ baseUrl, interceptors: [addHeaders(headers)] }),
};

const orders = (name = "Connect over HTTP/1.1", headers: Record<string, string> = {}) =>
  createClient(OrderService, (transports[name] ?? connect)(origin, headers));

function connect(): Transport {
  throw new Error("no such transport");
}

async function becomes<T>(read: () => T, expected: T): Promise<void> {
  await eventually(() => read() === expected, { ceilingMs: 5_000, what: String(read) });
}

async function failureOf(call: Promise<unknown>): Promise<ConnectError> {
  return call.then(
    () => {
      throw new Error("the call succeeded");
    },
    (error: unknown) => ConnectError.from(error),
  );
}

describe.each(Object.keys(transports))("a client that speaks %s", (name) => {
  test("calls a public method, and the call is made inside as the demo user", async () => {
    const reply = await orders(name).placeOrder({ idempotencyKey: "k" });
    expect(reply.order).toMatchObject({ orderId: "k", version: 9_007_199_254_740_993n });
    expect(backend.headers[0]?.get("weft-user")).toBe("demo");
    expect(backend.users).toEqual(["demo"]);
  });

  test("reads a stream, and leaving it ends the stream inside", async () => {
    const seen: bigint[] = [];
    const left = new AbortController();
    for await (const { order } of orders(name).watchOrder({ orderId: "o" }, { signal: left.signal })) {
      seen.push(order?.version ?? 0n);
      if (seen.length === 3) break;
    }
    left.abort();
    expect(seen).toEqual([1n, 2n, 3n]);
    await becomes(() => backend.ended, 1);
    await becomes(() => gateway.underWay, 0);
  });

  test("finds no method that is not public", async () => {
    const inventory = createClient(InventoryService, (transports[name] ?? connect)(origin));
    expect((await failureOf(inventory.reserve({ idempotencyKey: "k" }))).code).toBe(Code.Unimplemented);
    const catalog = createClient(CatalogService, (transports[name] ?? connect)(origin));
    expect((await failureOf(catalog.batchGetProducts({}))).code).toBe(Code.Unimplemented);
  });

  test("is refused when it says who it is, or sends too much", async () => {
    const posing = await failureOf(orders(name, { "weft-user": "root" }).placeOrder({ idempotencyKey: "k" }));
    expect(posing).toMatchObject({
      code: Code.InvalidArgument,
      rawMessage: 'the header "weft-user" is set by the gateway and must not come from outside',
    });
    const large = await failureOf(orders(name).placeOrder({ idempotencyKey: "k".repeat(5_000_000) }));
    expect(large.code).toBe(Code.ResourceExhausted);
    expect(backend.headers).toEqual([]);
    await orders(name).placeOrder({ idempotencyKey: "still here" });
  });

  test("gets the code of an error from inside, and the details that a contract declares, but nothing of the inside", async () => {
    backend.placeOrder = async () => {
      const error = new ConnectError("out of stock", Code.FailedPrecondition, { "x-inside": "secret" }, [
        { desc: OutOfStockDetailSchema, value: { shortages: [{ productId: "p", available: 1 }] } },
      ]);
      error.details.push({ type: "google.rpc.DebugInfo", value: new Uint8Array([1]) });
      throw error;
    };
    const short = await failureOf(orders(name).placeOrder({}));
    expect(short).toMatchObject({ code: Code.FailedPrecondition, rawMessage: "out of stock" });
    expect(short.findDetails(OutOfStockDetailSchema)).toMatchObject([{ shortages: [{ productId: "p" }] }]);
    expect(short.details).toHaveLength(1);
    expect(short.metadata.get("x-inside")).toBeNull();

    for (const code of [Code.Internal, Code.Unavailable, Code.Unknown]) {
      backend.placeOrder = async () => {
        throw new ConnectError("connect ECONNREFUSED 10.1.2.3:5432", code);
      };
      const failure = await failureOf(orders(name).placeOrder({}));
      expect(failure.code).toBe(code);
      expect(failure.message).not.toContain("10.1.2.3");
    }
  });
});

test("each proto service is looked for where the rule says, or where the configuration does", async () => {
  expect(backend.targets).toEqual(
    ["cart", "catalog", "inventory", "orders", "payments", "shipping"].map((name) => `${name}.shop`),
  );
  await gateway[Symbol.asyncDispose]();
  backend.targets.length = 0;
  await start({ overrides: new Map([["shop.orders.v1.OrderService", "orders-next.shop:8080"]]) });
  expect(backend.targets.sort()).toEqual([
    "cart.shop",
    "catalog.shop",
    "inventory.shop",
    "orders-next.shop:8080",
    "payments.shop",
    "shipping.shop",
  ]);
});

test("its own headers go on inside, those of the edge do not", async () => {
  const headers = { "x-canary": "yes", "x-forwarded-for": "1.2.3.4", cookie: "a=b", authorization: "Bearer x" };
  await orders("gRPC-Web", headers).placeOrder({});
  const seen = backend.headers[0];
  expect(seen?.get("x-canary")).toBe("yes");
  for (const name of ["x-forwarded-for", "cookie", "authorization", "x-grpc-web", "x-user-agent"])
    expect(seen?.get(name)).toBeNull();
});

test("a call longer than the cap ends DEADLINE_EXCEEDED, however long the client would wait", async () => {
  await gateway[Symbol.asyncDispose]();
  await start({ limits: { unaryTimeoutMs: 50 } });
  backend.placeOrder = (signal) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const failure = await failureOf(orders().placeOrder({}, { timeoutMs: 60_000 }));
  expect(failure.code).toBe(Code.DeadlineExceeded);
});

test("one call too many is refused with RESOURCE_EXHAUSTED until another ends", async () => {
  await gateway[Symbol.asyncDispose]();
  await start({ limits: { maxCalls: 1 } });
  let finish = (): void => {};
  backend.placeOrder = () =>
    new Promise((resolve) => {
      finish = resolve;
    });
  const held = orders().placeOrder({});
  await becomes(() => backend.headers.length, 1);
  expect((await failureOf(orders().placeOrder({}))).code).toBe(Code.ResourceExhausted);
  finish();
  await held;
  backend.placeOrder = async () => {};
  await orders().placeOrder({});
});

test("streams alone do not use up all calls", async () => {
  await gateway[Symbol.asyncDispose]();
  await start({ limits: { maxStreams: 1 } });
  const left = new AbortController();
  const held = orders().watchOrder({}, { signal: left.signal })[Symbol.asyncIterator]();
  await held.next();
  const second = orders().watchOrder({})[Symbol.asyncIterator]().next();
  expect((await failureOf(second)).code).toBe(Code.ResourceExhausted);
  await orders().placeOrder({});
  left.abort();
  await becomes(() => gateway.underWay, 0);
});

test("a method without side effects may be asked for by GET, any other not", async () => {
  const query = "?connect=v1&encoding=json&message=%7B%22productId%22%3A%22p%22%7D";
  const product = await fetch(`${origin}/shop.catalog.v1.CatalogService/GetProduct${query}`);
  expect(await product.json()).toEqual({ product: { productId: "p" } });
  expect((await fetch(`${origin}/shop.orders.v1.OrderService/PlaceOrder${query}`)).status).toBe(405);
});

describe("the trace of a call", () => {
  test("starts at the gateway, and the client is told its id, also when the call fails", async () => {
    const exporter = new InMemorySpanExporter();
    const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
    const { createTelemetry } = await import("@weft/mesh");
    await gateway[Symbol.asyncDispose]();
    await start({ telemetry: createTelemetry({ tracer: provider.getTracer("test") }) });
    let told: Headers | undefined;
    const foreign = { traceparent: "00-11111111111111111111111111111111-2222222222222222-01" };
    await orders("gRPC", foreign).placeOrder({}, { onHeader: (headers) => (told = headers) });
    backend.placeOrder = async () => {
      throw new ConnectError("no", Code.NotFound);
    };
    const failure = await failureOf(orders().placeOrder({}));
    const [good, bad] = exporter.getFinishedSpans();
    expect(good?.name).toBe("shop.orders.v1.OrderService/PlaceOrder");
    expect(good?.parentSpanContext).toBeUndefined();
    expect(good?.attributes).toMatchObject({ "rpc.grpc.status_code": 0, "weft.edge.protocol": "grpc" });
    const { traceId, spanId } = good?.spanContext() ?? {};
    expect(traceId).not.toMatch(/^1+$/);
    expect(told?.get("weft-trace-id")).toBe(traceId);
    expect(told?.get("traceparent")).toBe(`00-${traceId}-${spanId}-01`);
    expect(bad?.attributes).toMatchObject({ "rpc.grpc.status_code": 5 });
    expect(failure.metadata.get("weft-trace-id")).toBe(bad?.spanContext().traceId);
  });

  test("has a request id: the client's own if it is a decent one", async () => {
    let id: string | null | undefined;
    const onHeader = (headers: Headers): void => {
      id = headers.get("x-request-id");
    };
    await orders("gRPC", { "x-request-id": "mine-1" }).placeOrder({}, { onHeader });
    expect(id).toBe("mine-1");
    await orders("gRPC", { "x-request-id": "<script>" }).placeOrder({}, { onHeader });
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(backend.headers.at(-1)?.get("x-request-id")).toBe(id);
  });
});

describe("a web page", () => {
  const path = "/shop.orders.v1.OrderService/PlaceOrder";
  const preflight = (from: string) =>
    fetch(origin + path, {
      method: "OPTIONS",
      headers: {
        origin: from,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type, connect-protocol-version, x-canary, weft-user, cookie",
      },
    });

  test("of an allowed origin may call and read what it is told", async () => {
    const allowed = await preflight("https://shop.example");
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get("access-control-allow-origin")).toBe("https://shop.example");
    expect(allowed.headers.get("access-control-allow-headers")).toBe(
      "content-type, connect-protocol-version, x-canary",
    );
    const reply = await fetch(origin + path, {
      method: "POST",
      headers: { origin: "https://shop.example", "content-type": "application/json" },
      body: "{}",
    });
    expect(reply.status).toBe(200);
    expect(reply.headers.get("access-control-allow-origin")).toBe("https://shop.example");
    expect(reply.headers.get("access-control-expose-headers")).toContain("weft-trace-id");
    expect(reply.headers.get("x-inside")).toBeNull();
  });

  test("of any other origin is told nothing", async () => {
    const refused = await preflight("https://evil.example");
    expect(refused.status).toBe(403);
    expect(refused.headers.get("access-control-allow-origin")).toBeNull();
  });
});

describe("garbage", () => {
  test("gets an answer that says what is wrong, and the gateway stays up", async () => {
    const path = `${origin}/shop.orders.v1.OrderService/PlaceOrder`;
    const post = (contentType: string, body: string | Uint8Array) =>
      fetch(path, { method: "POST", headers: { "content-type": contentType }, body });
    expect((await post("application/json", "{nope")).status).toBe(400);
    expect((await post("application/json", '{"noSuchField": 1}')).status).toBe(200);
    // gRPC has INTERNAL for a message that cannot be read.
    expect((await post("application/proto", new Uint8Array([0xff, 0xff, 0xff]))).status).toBe(500);
    expect((await post("text/plain", "hello")).status).toBe(415);
    const headers = { "content-type": "application/json", "content-encoding": "gzip" };
    const body = new Uint8Array(gzipSync(JSON.stringify({ idempotencyKey: "k".repeat(50_000_000) })));
    expect((await fetch(path, { method: "POST", headers, body })).status).toBe(429);
    expect((await fetch(path, { method: "DELETE" })).status).toBe(405);
    expect((await fetch(`${origin}/healthz`)).status).toBe(404);
    expect((await fetch(`${origin}/shop.orders.v1.OrderService/`)).status).toBe(404);
    await orders().placeOrder({});
  });

  test("on a bare socket ends that connection alone", async () => {
    for (const bytes of [
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrubbish that is no frame",
      "PROBABLY NOT HTTP\r\n\r\n",
      "\u0000\u0001\u0002",
    ]) {
      const socket = connectTcp(gateway.port, "127.0.0.1");
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.on("error", () => {});
      socket.resume();
      socket.write(bytes);
      await closed;
    }
    await orders().placeOrder({});
  });

  test("of headers without end is refused in both versions of HTTP", async () => {
    const bomb = await fetch(`${origin}/x`, { headers: { "x-bomb": "b".repeat(40_000) } });
    expect(bomb.status).toBe(431);
    const session = connectHttp2(origin);
    const request = session.request({ ":path": "/x", "x-bomb": "b".repeat(40_000) });
    const ended = await new Promise((resolve) => {
      request.on("error", resolve);
      session.on("error", resolve);
      request.on("response", (headers) => resolve(headers[constants.HTTP2_HEADER_STATUS]));
    });
    expect(ended).not.toBe(200);
    session.destroy();
    await orders("gRPC").placeOrder({});
  });

  test("that never comes is not waited for", async () => {
    await gateway[Symbol.asyncDispose]();
    await start({ limits: { readTimeoutMs: 50 } });
    const socket = connectTcp(gateway.port, "127.0.0.1");
    await new Promise((resolve) => socket.once("close", resolve));
    const slow = connectTcp(gateway.port, "127.0.0.1");
    slow.on("error", () => {});
    slow.resume();
    slow.write(
      "POST /shop.orders.v1.OrderService/PlaceOrder HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{",
    );
    await new Promise((resolve) => slow.once("close", resolve));
    await becomes(() => gateway.underWay, 0);
  });
});

describe("a planned stop", () => {
  const read = "/shop.catalog.v1.CatalogService/GetProduct";

  test("begins with asking HTTP/1.1 clients to come anew, and refuses nobody", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = () =>
      new Promise<IncomingMessage>((resolve, reject) => {
        const headers = { "content-type": "application/json" };
        const asked = request(origin + read, { agent, method: "POST", headers }, (reply) => resolve(reply.resume()));
        asked.on("error", reject).end("{}");
      });
    expect((await ask()).headers.connection).toBe("keep-alive");
    gateway.retire();
    for (let again = 0; again < 3; again += 1)
      expect(await ask()).toMatchObject({ statusCode: 200, headers: { connection: "close" } });
    agent.destroy();
  });

  test("begins with telling HTTP/2 clients to leave, and serves what they send until they have", async () => {
    const session = connectHttp2(origin);
    const ask = async (): Promise<unknown> => {
      const stream = session.request({ ":method": "POST", ":path": read, "content-type": "application/json" });
      stream.end("{}");
      const [headers] = await once(stream, "response");
      stream.resume();
      await once(stream, "end");
      return headers;
    };
    expect(await ask()).toMatchObject({ ":status": 200 });
    const stream = session.request({ ":method": "POST", ":path": read, "content-type": "application/json" });
    const told = once(session, "goaway");
    gateway.retire();
    expect((await told).slice(0, 2)).toEqual([constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1]);
    stream.end("{}");
    const [headers] = await once(stream, "response");
    expect(headers).toMatchObject({ ":status": 200 });
    stream.resume();
    session.close();
  });

  test.each(["Connect over HTTP/1.1", "gRPC"])("lets calls under way end, and no new one in (%s)", async (name) => {
    let finish = (): void => {};
    backend.placeOrder = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    const underWay = orders(name).placeOrder({ idempotencyKey: "1" });
    await becomes(() => backend.headers.length, 1);
    let drained = false;
    const drain = gateway.drain(10_000).then(() => {
      drained = true;
    });
    expect((await failureOf(orders(name).placeOrder({}))).code).toBe(Code.Unavailable);
    expect(drained).toBe(false);
    finish();
    expect((await underWay).order?.orderId).toBe("1");
    await drain;
  });

  test("ends what is left at its time with UNAVAILABLE", async () => {
    backend.placeOrder = (signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    const over1 = failureOf(orders().placeOrder({}));
    const over2 = failureOf(orders("gRPC").placeOrder({}));
    await becomes(() => backend.headers.length, 2);
    await gateway.drain(20);
    expect((await over1).code).toBe(Code.Unavailable);
    expect((await over2).code).toBe(Code.Unavailable);
  });
});

describe("a card number in a message that cannot be parsed", () => {
  const digits = Array.from({ length: 15 }, (_, n) => (n === 0 ? 4 : Math.floor(Math.random() * 10)));
  const card = luhnCompleted(digits);
  const envelope = (text: string): Buffer => {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(Buffer.byteLength(text), 1);
    return Buffer.concat([head, Buffer.from(text)]);
  };
  const order = "/shop.orders.v1.OrderService/PlaceOrder";
  const padding = "x".repeat(3_000);

  test.each([
    ["a number for a text", order, "application/json", `{"currency": ${card}}`],
    ["a text for a number", order, "application/json", `{"items": [{"quantity": "${card} ${padding}"}]}`],
    ["a number that is too large", order, "application/json", `{"items": [{"quantity": ${card}}]}`],
    ["broken JSON", order, "application/json", `{"currency": ${card}`],
    ["a stream", "/shop.catalog.v1.CatalogService/SearchProducts", "application/connect+json", `{"query": ${card}}`],
    ["gRPC-Web", order, "application/grpc-web+json", `{"currency": ${card}}`],
  ])("is not in the error: %s", async (_, path, contentType, text) => {
    const enveloped = contentType !== "application/json";
    for (const encoding of ["identity", "gzip", "br"]) {
      const reply = await fetch(origin + path, {
        method: "POST",
        headers: { "content-type": contentType, "accept-encoding": encoding, "connect-accept-encoding": encoding },
        body: enveloped ? envelope(text) : text,
      });
      const said = `${Buffer.from(await reply.arrayBuffer()).toString("latin1")} ${[...reply.headers].join()}`;
      expect(said).toMatch(/cannot decode|invalid_argument|grpc-status/i);
      expect(said).not.toContain(card);
    }
  });
});
