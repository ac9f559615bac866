import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { status as grpcStatus } from "@grpc/grpc-js";
import { EchoService } from "@weft/contracts/weft/bench/v1";
import { systemClock } from "@weft/foundation";
import { eventually } from "@weft/foundation/testing";
import { okStatus, type StreamHandler } from "@weft/wire";
import { describe, expect, test } from "vitest";
import { currentCallScope } from "../call-scope.js";
import { serve, serveMethods } from "./serve.js";
import { ceilingMs, onLoopback, serveKinds } from "./testing/fixture.js";
import { ForeignClient } from "./testing/foreign-client.js";
import { KindsService } from "./testing/kinds-service.js";

const { one, many, collect, talk } = KindsService.method;

describe("kinds of methods, called by a plain grpc-js client", () => {
  test("unary", async () => {
    await using served = await serveKinds({ one: (request) => ({ value: `${request.value}!` }) });
    const reply = await served.client.call(one, [{ value: "hi" }]);
    expect(reply.status.code).toBe(grpcStatus.OK);
    expect(reply.messages.map((message) => message.value)).toEqual(["hi!"]);
  });

  test("server stream", async () => {
    await using served = await serveKinds({
      async *many(request) {
        for (let i = 0; i < 3; i++) yield { value: `${request.value}${i}` };
      },
    });
    const reply = await served.client.call(many, [{ value: "m" }]);
    expect(reply.status.code).toBe(grpcStatus.OK);
    expect(reply.messages.map((message) => message.value)).toEqual(["m0", "m1", "m2"]);
  });

  test("client stream", async () => {
    await using served = await serveKinds({
      async collect(requests) {
        const all: string[] = [];
        for await (const request of requests) all.push(request.value);
        return { value: all.join() };
      },
    });
    const reply = await served.client.call(
      collect,
      ["a", "b", "c"].map((value) => ({ value })),
    );
    expect(reply.messages.map((message) => message.value)).toEqual(["a,b,c"]);
  });

  test("both ways in turn", async () => {
    await using served = await serveKinds({
      async *talk(requests) {
        for await (const request of requests) yield { value: request.value.toUpperCase() };
      },
    });
    const stream = served.client.stream(talk);
    for (const value of ["a", "b"]) {
      const before = stream.messages.length;
      stream.write({ value });
      await eventually(() => stream.messages.length === before + 1, { ceilingMs });
    }
    stream.end();
    const reply = await stream.reply;
    expect(reply.status.code).toBe(grpcStatus.OK);
    expect(reply.messages.map((message) => message.value)).toEqual(["A", "B"]);
  });

  test("a client stream's handler may answer before its client is done", async () => {
    await using served = await serveKinds({
      async collect(requests) {
        for await (const request of requests) return { value: request.value };
        return { value: "none" };
      },
    });
    const stream = served.client.stream(collect);
    stream.write({ value: "first" });
    const reply = await stream.reply;
    expect(reply.messages.map((message) => message.value)).toEqual(["first"]);
  });

  test("a slow reader slows the handler down", async () => {
    let yielded = 0;
    await using served = await serveKinds({
      async *many() {
        for (;;) {
          yielded += 1;
          yield { value: "x".repeat(64 * 1024) };
        }
      },
    });
    const stream = served.client.stream(many);
    stream.write({});
    stream.end();
    stream.pause();
    let before = -1;
    await eventually(
      async () => {
        before = yielded;
        await served.client.call(KindsService.method.one, [{}]);
        return before > 0 && before === yielded;
      },
      { ceilingMs },
    );
    expect(yielded).toBeLessThan(1_000);
    stream.cancel();
  });

  test("the number of requests that a method does not take is UNIMPLEMENTED", async () => {
    await using served = await serveKinds({ one: () => ({}) });
    expect((await served.client.call(one, [])).status.code).toBe(grpcStatus.UNIMPLEMENTED);
    expect((await served.client.call(one, [{}, {}])).status.code).toBe(grpcStatus.UNIMPLEMENTED);
  });
});

describe("what a handler is given", () => {
  test("Connect's context: method, headers, time left, and room for head and trailers", async () => {
    let context: HandlerContext | undefined;
    let leftMs: number | undefined;
    await using served = await serveKinds({
      one: (_request, given) => {
        context = given;
        leftMs = given.timeoutMs();
        given.responseHeader.set("x-head", "h");
        given.responseTrailer.set("x-trailer", "t");
        given.responseTrailer.set("x-bytes-bin", Buffer.from([1, 2]).toString("base64"));
        return {};
      },
    });
    const metadata = { "x-text": "plain", "x-bytes-bin": Buffer.from([0, 255]) };
    const reply = await served.client.call(one, [{}], { metadata, timeoutMs: 30_000 });
    expect(reply.status.code).toBe(grpcStatus.OK);
    expect(reply.head?.get("x-head")).toEqual(["h"]);
    expect(reply.status.metadata.get("x-trailer")).toEqual(["t"]);
    expect(reply.status.metadata.get("x-bytes-bin")).toEqual([Buffer.from([1, 2])]);
    expect(context).toMatchObject({ protocolName: "grpc", requestMethod: "POST", method: one, service: KindsService });
    expect(context?.url).toBe(`http://127.0.0.1:${served.server.port}/weft.test.v1.KindsService/One`);
    expect(context?.requestHeader.get("x-text")).toBe("plain");
    expect(context?.requestHeader.get("x-bytes-bin")).toBe("AP8");
    expect(leftMs).toBeGreaterThan(30_000 - ceilingMs);
    expect(leftMs).toBeLessThanOrEqual(30_000);
    expect(context?.signal.aborted).toBe(true);
  });

  test("the scope of the call: its deadline, signal and user, across awaits", async () => {
    const seen: unknown[] = [];
    await using served = await serveKinds({
      one: async (_request, context) => {
        await new Promise((resolve) => setImmediate(resolve));
        const scope = currentCallScope();
        const leftMs = (scope?.deadline ?? 0) - systemClock.nowMs();
        seen.push(scope?.user, leftMs > 0 && leftMs <= 30_000, scope?.signal === context.signal);
        return {};
      },
    });
    await served.client.call(one, [{}], { metadata: { "weft-user": "ada" }, timeoutMs: 30_000 });
    expect(seen).toEqual(["ada", true, true]);
    await served.client.call(one, [{}]);
    expect(seen[3]).toBeUndefined();
  });

  test("a function of routes written for Connect's router fits unchanged", async () => {
    const routes = (router: ConnectRouter): ConnectRouter =>
      router.service(EchoService, { echo: (request) => ({ payload: request.payload }) });
    await using server = await serve(routes, onLoopback);
    using client = new ForeignClient(server.port);
    const reply = await client.call(EchoService.method.echo, [{ payload: Uint8Array.of(1, 2) }]);
    expect(reply.messages[0]?.payload).toEqual(Uint8Array.of(1, 2));
  });

  test("single methods may be routed, and one registered twice is refused at once", async () => {
    await using server = await serve((router) => router.rpc(one, () => ({ value: "rpc" })), onLoopback);
    using client = new ForeignClient(server.port);
    expect((await client.call(one, [{}])).messages[0]?.value).toBe("rpc");
    const twice = serve((router) => router.rpc(one, () => ({})).service(KindsService, {}), onLoopback);
    await expect(twice).rejects.toThrow(/One" is registered twice/);
  });
});

describe("gates", () => {
  test("a gate that refuses answers before the handler and its message; one that admits is told of the end", async () => {
    const events: string[] = [];
    await using served = await serveKinds(
      {
        one: () => {
          events.push("handler");
          return {};
        },
      },
      {
        gates: [
          (head) => {
            events.push(`first ${head.method.name} ${head.user}`);
            return { t: "admit", done: () => void events.push("done") };
          },
          (head) =>
            head.user === "mallory" ? { t: "refuse", status: { code: 7, message: "not you" } } : { t: "admit" },
        ],
      },
    );
    const refused = await served.client.call(one, [{}], { metadata: { "weft-user": "mallory" } });
    expect(refused.status).toMatchObject({ code: grpcStatus.PERMISSION_DENIED, details: "not you" });
    expect(events.splice(0)).toEqual(["first One mallory", "done"]);
    await served.client.call(one, [{}], { metadata: { "weft-user": "ada" } });
    expect(events).toEqual(["first One ada", "handler", "done"]);
  });
});

test("handlers of bytes are served as they are, with health beside them", async () => {
  const echoBytes: StreamHandler = (stream) => {
    stream.read(1);
    return {
      message: (bytes) => {
        stream.write(bytes);
        stream.end(okStatus);
      },
      halfClose() {},
      cancel() {},
    };
  };
  const methods = new Map([["/weft.test.v1.KindsService/One", echoBytes]]);
  await using server = await serveMethods(methods, onLoopback);
  using client = new ForeignClient(server.port);
  expect((await client.call(one, [{ value: "as is" }])).messages[0]?.value).toBe("as is");
});
