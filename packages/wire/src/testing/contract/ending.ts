import { eventually } from "@weft/foundation/testing";
import { describe, expect, test } from "vitest";
import { okStatus, StatusCode } from "../../status.js";
import type { ServerStream, Transport } from "../../transport.js";
import { bytesOf, callOnce, ceilingMs, echo, hanging, openProbe, startPair } from "../fixture.js";

const cancelled = { code: StatusCode.cancelled, message: "not wanted any more" };

/** Deadlines and cancellation: both sides learn of the end, once. */
export function endingContract(transport: Transport): void {
  describe("deadlines", () => {
    test("a deadline that passes ends the call on both sides", async () => {
      const server = hanging();
      await using pair = await startPair(transport, { "/t.S/Hang": server.handler });
      const probe = callOnce(pair.connection, "/t.S/Hang", bytesOf("x"), { timeoutMs: 50 });
      expect((await probe.outcome).status.code).toBe(StatusCode.deadlineExceeded);
      await eventually(() => server.cancels.length > 0, { ceilingMs });
      expect(pair.listener.openStreams).toBe(0);
    });

    test("the handler is told how much time there is", async () => {
      const seen: (number | undefined)[] = [];
      await using pair = await startPair(transport, {
        "/t.S/Time": (stream) => {
          seen.push(stream.timeoutMs);
          return echo(stream);
        },
      });
      await callOnce(pair.connection, "/t.S/Time", bytesOf("x"), { timeoutMs: 30_000 }).outcome;
      await callOnce(pair.connection, "/t.S/Time", bytesOf("x")).outcome;
      await callOnce(pair.connection, "/t.S/Time", bytesOf("x"), { timeoutMs: 100 * 24 * 3_600_000 }).outcome;
      expect(seen[0]).toBeGreaterThan(30_000 - ceilingMs);
      expect(seen[0]).toBeLessThanOrEqual(30_000);
      expect(seen[1]).toBeUndefined();
      expect(seen[2] ?? Number.POSITIVE_INFINITY).toBeGreaterThan(24 * 3_600_000);
    });

    test("a call without time left ends DEADLINE_EXCEEDED by itself", async () => {
      await using pair = await startPair(transport, { "/t.S/Echo": echo });
      const probe = callOnce(pair.connection, "/t.S/Echo", bytesOf("x"), { timeoutMs: 0 });
      expect((await probe.outcome).status.code).toBe(StatusCode.deadlineExceeded);
    });
  });

  describe("cancellation", () => {
    test("at once, before anything was sent", async () => {
      await using pair = await startPair(transport, { "/t.S/Echo": echo });
      const probe = openProbe(pair.connection, "/t.S/Echo");
      probe.stream.reset(cancelled);
      expect((await probe.outcome).status).toEqual(cancelled);
      await eventually(() => pair.listener.openStreams === 0, { ceilingMs });
    });

    test("while the server waits for messages: it is told once, and what it sends then does nothing", async () => {
      const server = hanging();
      await using pair = await startPair(transport, { "/t.S/Hang": server.handler });
      const probe = openProbe(pair.connection, "/t.S/Hang");
      probe.stream.write(bytesOf("x"));
      await eventually(() => server.messages.length === 1, { ceilingMs });
      probe.stream.reset(cancelled);
      probe.stream.reset({ code: StatusCode.aborted, message: "second" });
      expect((await probe.outcome).status).toEqual(cancelled);
      await eventually(() => server.cancels.length === 1, { ceilingMs });
      expect(server.cancels[0]?.code).toBe(StatusCode.cancelled);
      useAfterEnd(server.streams[0]);
      expect((await callOnce(pair.connection, "/t.S/Nope").outcome).status.code).toBe(StatusCode.unimplemented);
      expect(server.cancels).toHaveLength(1);
    });

    test("after the client's half-close", async () => {
      const server = hanging();
      await using pair = await startPair(transport, { "/t.S/Hang": server.handler });
      const probe = callOnce(pair.connection, "/t.S/Hang");
      await eventually(() => server.messages.length === 1, { ceilingMs });
      probe.stream.reset(cancelled);
      await probe.outcome;
      await eventually(() => server.cancels.length === 1, { ceilingMs });
    });

    test("while messages flow from the server", async () => {
      let cancels = 0;
      await using pair = await startPair(transport, {
        "/t.S/Endless": (stream) => {
          const pump = (): void => {
            while (stream.write(new Uint8Array(1_024)) && cancels === 0);
          };
          pump();
          return {
            message() {},
            halfClose() {},
            cancel: () => {
              cancels += 1;
            },
            writable: pump,
          };
        },
      });
      const probe = openProbe(pair.connection, "/t.S/Endless");
      await eventually(() => probe.messages.length > 10, { ceilingMs });
      probe.stream.reset(cancelled);
      expect((await probe.outcome).status).toEqual(cancelled);
      const { length } = probe.messages;
      await eventually(() => cancels === 1, { ceilingMs });
      expect(probe.messages).toHaveLength(length);
    });

    test("after the end it does nothing", async () => {
      await using pair = await startPair(transport, { "/t.S/Echo": echo });
      const probe = callOnce(pair.connection, "/t.S/Echo");
      expect((await probe.outcome).status).toEqual(okStatus);
      probe.stream.reset(cancelled);
      probe.stream.write(bytesOf("late"));
      probe.stream.end();
      expect((await callOnce(pair.connection, "/t.S/Echo").outcome).status).toEqual(okStatus);
    });

    test("while the server's last message waits to be asked for: the end comes all the same", async () => {
      await using pair = await startPair(transport, {
        "/t.S/One": (stream) => {
          stream.write(bytesOf("one"));
          stream.end(okStatus);
          return { message() {}, halfClose() {}, cancel() {} };
        },
      });
      const probe = openProbe(pair.connection, "/t.S/One", { read: 0 });
      await eventually(() => probe.heads.length === 1, { ceilingMs });
      // Whatever of the end arrives without being asked for has arrived when another call has gone there and back.
      await callOnce(pair.connection, "/t.S/One").outcome;
      probe.stream.reset(cancelled);
      expect((await probe.outcome).status.code).toBe(StatusCode.cancelled);
      expect(probe.messages).toEqual([]);
    });

    test("a handler whose head or reply cannot be sent is told to stop", async () => {
      const cancels: unknown[] = [];
      await using pair = await startPair(transport, {
        "/t.S/Bad": (stream) => {
          queueMicrotask(() => stream.sendHead([["x-bad", "caf\u00e9"]]));
          return { message() {}, halfClose() {}, cancel: (status) => void cancels.push(status) };
        },
      });
      const probe = openProbe(pair.connection, "/t.S/Bad");
      expect((await probe.outcome).status.code).toBe(StatusCode.internal);
      await eventually(() => cancels.length === 1, { ceilingMs });
    });

    test("a handler that has ended its stream is not told of a cancel", async () => {
      const cancels: unknown[] = [];
      await using pair = await startPair(transport, {
        "/t.S/Done": (stream) => {
          stream.end(okStatus);
          useAfterEnd(stream);
          return { message() {}, halfClose() {}, cancel: (status) => void cancels.push(status) };
        },
      });
      const probe = openProbe(pair.connection, "/t.S/Done");
      expect((await probe.outcome).status).toEqual(okStatus);
      expect((await callOnce(pair.connection, "/t.S/Done").outcome).status).toEqual(okStatus);
      expect(cancels).toEqual([]);
      expect(pair.listener.openStreams).toBe(0);
    });

    test("a client whose process goes away cancels its streams", async () => {
      const server = hanging();
      await using pair = await startPair(transport, { "/t.S/Hang": server.handler });
      const probe = openProbe(pair.connection, "/t.S/Hang");
      probe.stream.write(bytesOf("x"));
      await eventually(() => server.messages.length === 1, { ceilingMs });
      await pair.connection.close(0);
      expect((await probe.outcome).status.code).toBe(StatusCode.unavailable);
      await eventually(() => server.cancels.length === 1, { ceilingMs });
      expect(pair.listener.openStreams).toBe(0);
    });
  });
}

function useAfterEnd(stream: ServerStream | undefined): void {
  stream?.sendHead([["x-late", "1"]]);
  stream?.write(bytesOf("late"));
  stream?.read(1);
  stream?.end({ code: StatusCode.internal, message: "late" });
}
