import { create } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { status as grpcStatus } from "@grpc/grpc-js";
import { codecOf } from "@weft/codec";
import { StatusSchema } from "@weft/contracts/google/rpc";
import { EchoService } from "@weft/contracts/weft/bench/v1";
import { eventually } from "@weft/foundation/testing";
import { describe, expect, test } from "vitest";
import { ceilingMs, serveKinds } from "./testing/fixture.js";
import { KindsService } from "./testing/kinds-service.js";

const { one, many, collect, talk } = KindsService.method;

describe("errors", () => {
  test("a ConnectError goes out with its code, message, metadata and details", async () => {
    const thrown = new ConnectError("out of stock", Code.FailedPrecondition, { "x-why": "stock" }, [
      { desc: DurationSchema, value: { seconds: 5n } },
    ]);
    await using served = await serveKinds({
      one: () => {
        throw thrown;
      },
    });
    const { status } = await served.client.call(one, [{}]);
    expect(status).toMatchObject({ code: grpcStatus.FAILED_PRECONDITION, details: "out of stock" });
    expect(status.metadata.get("x-why")).toEqual(["stock"]);
    const bytes = status.metadata.get("grpc-status-details-bin")[0];
    const rpcStatus = codecOf(StatusSchema).decode(Uint8Array.from(Buffer.from(bytes ?? "")));
    expect(rpcStatus.ok && rpcStatus.value).toMatchObject({ code: Code.FailedPrecondition, message: "out of stock" });
    const detail = rpcStatus.ok ? rpcStatus.value.details[0] : undefined;
    expect(detail?.typeUrl).toBe("type.googleapis.com/google.protobuf.Duration");
    expect(codecOf(DurationSchema).decode(detail?.value ?? new Uint8Array())).toMatchObject({
      ok: true,
      value: create(DurationSchema, { seconds: 5n }),
    });
    expect(served.logs.lines.filter((line) => line.level === "error")).toEqual([]);
  });

  test.each([
    [
      "throws",
      () => {
        throw new TypeError("secret sauce");
      },
    ],
    ["rejects", () => Promise.reject(new Error("secret sauce"))],
  ])("a handler that %s otherwise is INTERNAL; the cause is logged once and never sent", async (_name, one_) => {
    await using served = await serveKinds({ one: one_ });
    const { status } = await served.client.call(one, [{}]);
    expect(status).toMatchObject({ code: grpcStatus.INTERNAL, details: "internal error" });
    const errors = served.logs.lines.filter((line) => line.level === "error");
    expect(errors).toMatchObject([{ message: "handler failed", fields: { method: "/weft.test.v1.KindsService/One" } }]);
    expect(String(errors[0]?.fields?.["error"])).toContain("secret sauce");
  });

  test("a stream that throws after messages ends with that error", async () => {
    let release = (): void => {};
    const taken = new Promise<void>((resolve) => {
      release = resolve;
    });
    await using served = await serveKinds({
      async *many() {
        yield { value: "first" };
        await taken;
        throw new ConnectError("gone", Code.Aborted);
      },
    });
    const stream = served.client.stream(many);
    stream.write({});
    stream.end();
    await eventually(() => stream.messages.length === 1, { ceilingMs });
    release();
    expect((await stream.reply).status).toMatchObject({ code: grpcStatus.ABORTED, details: "gone" });
  });

  test("a method without a handler and a path without a method are UNIMPLEMENTED", async () => {
    await using served = await serveKinds({});
    expect((await served.client.call(one, [{}])).status.code).toBe(grpcStatus.UNIMPLEMENTED);
    expect((await served.client.call(EchoService.method.echo, [{}])).status.code).toBe(grpcStatus.UNIMPLEMENTED);
  });

  test("bytes that are no request message are INTERNAL, and the server goes on", async () => {
    await using served = await serveKinds({
      one: () => ({ value: "ok" }),
      collect: async (requests) => {
        for await (const _request of requests);
        return {};
      },
    });
    const bad = Uint8Array.of(0x0a, 0x7f, 0x61);
    expect((await served.client.callRaw(one, bad)).status.code).toBe(grpcStatus.INTERNAL);
    expect((await served.client.callRaw(collect, bad)).status.code).toBe(grpcStatus.INTERNAL);
    expect((await served.client.call(one, [{}])).status.code).toBe(grpcStatus.OK);
  });

  test("a request beyond 4 MiB is RESOURCE_EXHAUSTED, and the limit can be set", async () => {
    await using served = await serveKinds({ one: () => ({}) });
    const big = { value: "x".repeat(5 * 1024 * 1024) };
    expect((await served.client.call(one, [big])).status.code).toBe(grpcStatus.RESOURCE_EXHAUSTED);
    await using wide = await serveKinds({ one: () => ({}) }, { maxMessageBytes: 6 * 1024 * 1024 });
    expect((await wide.client.call(one, [big])).status.code).toBe(grpcStatus.OK);
  });

  test("a reply that its type forbids is INTERNAL", async () => {
    const wrong: unknown = { value: Symbol("no text") };
    await using served = await serveKinds({ one: () => parseAnything(wrong) });
    expect((await served.client.call(one, [{}])).status).toMatchObject({
      code: grpcStatus.INTERNAL,
      details: "internal error",
    });
  });
});

describe("the end of a call", () => {
  test("a deadline that passes aborts the handler's signal and ends the call", async () => {
    let reason: unknown;
    await using served = await serveKinds({
      one: (_request, context) =>
        new Promise((_, reject) => {
          context.signal.addEventListener("abort", () => {
            reason = context.signal.reason;
            reject(context.signal.reason);
          });
        }),
    });
    const reply = await served.client.call(one, [{}], { timeoutMs: 50 });
    expect(reply.status.code).toBe(grpcStatus.DEADLINE_EXCEEDED);
    await eventually(() => reason !== undefined, { ceilingMs });
    expect(ConnectError.from(reason).code).toBeOneOf([Code.DeadlineExceeded, Code.Canceled]);
    expect(served.logs.lines.filter((line) => line.level === "error")).toEqual([]);
  });

  test("a client that cancels aborts the signal and ends the generator, with its finally", async () => {
    const ended: string[] = [];
    await using served = await serveKinds({
      async *many(_request, context) {
        try {
          yield { value: "first" };
          await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
          yield { value: "nobody gets this" };
          ended.push("went on");
        } finally {
          ended.push(`finally ${Code[ConnectError.from(context.signal.reason).code]}`);
        }
      },
    });
    const stream = served.client.stream(many);
    stream.write({});
    stream.end();
    await eventually(() => stream.messages.length === 1, { ceilingMs });
    stream.cancel();
    await eventually(() => ended.length > 0, { ceilingMs });
    expect(ended).toEqual(["finally Canceled"]);
    expect(served.server.openStreams).toBe(0);
  });

  test("requests that end because the call does, fail with the reason", async () => {
    const ended: string[] = [];
    await using served = await serveKinds({
      async *talk(requests) {
        try {
          for await (const request of requests) yield request;
          ended.push("all read");
        } catch (error) {
          ended.push(Code[ConnectError.from(error).code]);
        }
      },
    });
    const stream = served.client.stream(talk);
    stream.write({ value: "x" });
    await eventually(() => stream.messages.length === 1, { ceilingMs });
    await served.server.drain({ delayMs: 0, timeoutMs: 0 });
    expect((await stream.reply).status.code).toBe(grpcStatus.UNAVAILABLE);
    expect(ended).toEqual(["Unavailable"]);
  });

  test("a signal read only after the end is aborted already", async () => {
    let context: HandlerContext | undefined;
    await using served = await serveKinds({
      one: (_request, given) => {
        context = given;
        return {};
      },
    });
    await served.client.call(one, [{}]);
    expect(context?.signal.aborted).toBe(true);
  });
});

/** Lets a test give what types forbid. */
function parseAnything<T>(value: unknown): T {
  return value as T;
}
