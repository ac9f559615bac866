import { constants, createServer, type ServerHttp2Session } from "node:http2";
import { eventually } from "@weft/foundation/testing";
import { describe, expect, test } from "vitest";
import { StatusCode } from "../../status.js";
import { TooManyPings, type Transport } from "../../transport.js";
import { callOnce, ceilingMs, echo, hanging, listenOn, openProbe, startPair } from "../fixture.js";
import { listenOnLoopback, startFreezableProxy } from "../sockets.js";

const keepalive = { timeMs: 50, timeoutMs: 200 };

/** A server of `node:http2` that answers no stream, and counts pings. */
async function startPingCounter(onPing: (session: ServerHttp2Session, count: number) => void = () => {}) {
  const sessions = new Set<ServerHttp2Session>();
  let pings = 0;
  const server = createServer();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => {});
    session.on("ping", () => {
      pings += 1;
      onPing(session, pings);
    });
  });
  server.on("stream", (stream) => stream.on("error", () => {}));
  const port = await listenOnLoopback(server);
  return {
    port,
    get pings() {
      return pings;
    },
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** How a peer that is silently gone is found out, and one that is only quiet is left in peace (gRFC A8, A9). */
export function keepaliveContract(transport: Transport): void {
  describe("keepalive", () => {
    test("a server that falls silent under a call ends it UNAVAILABLE, maybe processed, and the connection closes", async () => {
      const hang = hanging();
      await using listener = await listenOn(transport, { "/t.S/Hang": hang.handler });
      await using proxy = await startFreezableProxy(listener.port);
      await using connection = transport.connect({ host: "127.0.0.1", port: proxy.port, keepalive });
      await connection.state.until((state) => state.t === "ready", AbortSignal.timeout(ceilingMs));
      const call = callOnce(connection, "/t.S/Hang");
      await eventually(() => hang.streams.length === 1, { ceilingMs });
      proxy.freeze();
      expect(await call.outcome).toMatchObject({ status: { code: StatusCode.unavailable }, processed: true });
      const state = await connection.state.until((now) => now.t === "closed", AbortSignal.timeout(ceilingMs));
      expect(state.t === "closed" && state.cause).toBeInstanceOf(Error);
    });

    test("a server that fell silent before the call is found out by the call", async () => {
      await using listener = await listenOn(transport, { "/t.S/Echo": echo });
      await using proxy = await startFreezableProxy(listener.port);
      await using connection = transport.connect({ host: "127.0.0.1", port: proxy.port, keepalive });
      await connection.state.until((state) => state.t === "ready", AbortSignal.timeout(ceilingMs));
      proxy.freeze();
      expect((await callOnce(connection, "/t.S/Echo").outcome).status.code).toBe(StatusCode.unavailable);
      expect(connection.state.value.t).not.toBe("ready");
    });

    test("a client that falls silent is told of as cancelled", async () => {
      const hang = hanging();
      await using listener = await listenOn(transport, { "/t.S/Hang": hang.handler }, { keepalive });
      await using proxy = await startFreezableProxy(listener.port);
      await using connection = transport.connect({ host: "127.0.0.1", port: proxy.port });
      await connection.state.until((state) => state.t === "ready", AbortSignal.timeout(ceilingMs));
      callOnce(connection, "/t.S/Hang");
      await eventually(() => hang.streams.length === 1, { ceilingMs });
      proxy.freeze();
      await eventually(() => hang.cancels.length === 1, { ceilingMs });
      expect(listener.openStreams).toBe(0);
    });

    test("a stream on which nothing happens stays open as long as pings are answered, whoever sends them", async () => {
      const hang = hanging();
      await using pair = await startPair(
        transport,
        { "/t.S/Hang": hang.handler, "/t.S/Echo": echo },
        { listen: { keepalive }, connect: { keepalive } },
      );
      const quiet = openProbe(pair.connection, "/t.S/Hang");
      await eventually(() => hang.streams.length === 1, { ceilingMs });
      await new Promise((resolve) => setTimeout(resolve, 10 * keepalive.timeMs));
      expect(pair.connection.state.value.t).toBe("ready");
      expect(hang.cancels).toEqual([]);
      expect((await callOnce(pair.connection, "/t.S/Echo").outcome).status.code).toBe(StatusCode.ok);
      quiet.stream.reset({ code: StatusCode.cancelled, message: "" });
    });

    test("without a stream a client sends no ping, with one it does", async () => {
      await using peer = await startPingCounter();
      await using connection = transport.connect({ host: "127.0.0.1", port: peer.port, keepalive });
      await connection.state.until((state) => state.t === "ready", AbortSignal.timeout(ceilingMs));
      await new Promise((resolve) => setTimeout(resolve, 5 * keepalive.timeMs));
      expect(peer.pings).toBe(0);
      openProbe(connection, "/t.S/Any");
      await eventually(() => peer.pings >= 3, { ceilingMs });
    });

    test("a server that complains of too many pings says so in the cause", async () => {
      await using peer = await startPingCounter((session, count) => {
        if (count === 2) session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 1, Buffer.from("too_many_pings"));
      });
      await using connection = transport.connect({ host: "127.0.0.1", port: peer.port, keepalive });
      await connection.state.until((state) => state.t === "ready", AbortSignal.timeout(ceilingMs));
      const call = openProbe(connection, "/t.S/Any");
      // HTTP/2 leaves open whether the stream still ends by itself: Node ends it with the session.
      const state = await connection.state.until((now) => now.t !== "ready", AbortSignal.timeout(ceilingMs));
      expect((state.t === "draining" || state.t === "closed") && state.cause).toBeInstanceOf(TooManyPings);
      call.stream.reset({ code: StatusCode.cancelled, message: "" });
      await connection.state.until((now) => now.t === "closed", AbortSignal.timeout(ceilingMs));
    });
  });
}
