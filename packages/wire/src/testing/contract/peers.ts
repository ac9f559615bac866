import { randomBytes } from "node:crypto";
import {
  type ClientHttp2Session,
  connect,
  constants,
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { eventually } from "@weft/foundation/testing";
import { describe, expect, test } from "vitest";
import { okStatus, StatusCode } from "../../status.js";
import type { Connection, Listener, Transport } from "../../transport.js";
import { bytesOf, callOnce, ceilingMs, echo, listenOn } from "../fixture.js";
import { listenOnLoopback, sendBytes, startTcpServer } from "../sockets.js";

/** Peers that are not ours: scripted over `node:http2` and bare sockets. */
export function peersContract(transport: Transport): void {
  describe("as a client of other servers", () => {
    test("a stream refused with REFUSED_STREAM was not processed", async () => {
      let seen = 0;
      await using peer = await scriptedServer((stream) => {
        seen += 1;
        stream.close(constants.NGHTTP2_REFUSED_STREAM);
      });
      await using connection = await connected(transport, peer.port);
      expect(await callOnce(connection, "/t.S/Any").outcome).toMatchObject({
        status: { code: StatusCode.unavailable },
        processed: false,
      });
      // Trying again is the caller's business, not the transport's.
      expect(seen).toBe(1);
    });

    test("streams above GOAWAY's last stream id were not processed, those below may have been", async () => {
      const streams: ServerHttp2Stream[] = [];
      await using peer = await scriptedServer((stream) => {
        streams.push(stream);
      });
      await using connection = await connected(transport, peer.port);
      const below = callOnce(connection, "/t.S/Below");
      const above = callOnce(connection, "/t.S/Above");
      await eventually(() => streams.length === 2, { ceilingMs });
      peer.sessions[0]?.goaway(constants.NGHTTP2_NO_ERROR, streams[0]?.id ?? 0);
      expect(await above.outcome).toMatchObject({ status: { code: StatusCode.unavailable }, processed: false });
      await connection.state.until((state) => state.t !== "ready", AbortSignal.timeout(ceilingMs));
      respond(streams[0], {}, { "grpc-status": "0" });
      expect(await below.outcome).toMatchObject({ status: { code: StatusCode.ok }, processed: true });
    });

    test.each([
      ["NO_ERROR", constants.NGHTTP2_NO_ERROR],
      ["CANCEL", constants.NGHTTP2_CANCEL],
      ["INTERNAL_ERROR", constants.NGHTTP2_INTERNAL_ERROR],
      ["ENHANCE_YOUR_CALM", constants.NGHTTP2_ENHANCE_YOUR_CALM],
    ])("a stream reset with %s may have been processed", async (_name, code) => {
      await using peer = await scriptedServer((stream) => stream.close(code));
      await using connection = await connected(transport, peer.port);
      const outcome = await callOnce(connection, "/t.S/Any").outcome;
      expect(outcome.status.code).not.toBe(StatusCode.ok);
      expect(outcome.processed).toBe(true);
    });

    test("a status in trailers counts as processed, whatever its words are", async () => {
      await using peer = await scriptedServer((stream) =>
        stream.respond(
          {
            ":status": 200,
            "content-type": "application/grpc",
            "grpc-status": "14",
            "grpc-message": "Stream refused by server",
          },
          { endStream: true },
        ),
      );
      await using connection = await connected(transport, peer.port);
      expect(await callOnce(connection, "/t.S/Any").outcome).toMatchObject({
        status: { code: StatusCode.unavailable },
        processed: true,
      });
    });

    test.each([
      [400, StatusCode.internal],
      [401, StatusCode.unauthenticated],
      [403, StatusCode.permissionDenied],
      [404, StatusCode.unimplemented],
      [429, StatusCode.unavailable],
      [502, StatusCode.unavailable],
      [503, StatusCode.unavailable],
      [500, StatusCode.unknown],
    ])("an HTTP %i without a gRPC status is code %i", async (http, code) => {
      await using peer = await scriptedServer((stream) => {
        stream.respond({ ":status": http, "content-type": "text/html" });
        stream.end("<h1>no</h1>");
      });
      await using connection = await connected(transport, peer.port);
      expect((await callOnce(connection, "/t.S/Any").outcome).status.code).toBe(code);
    });

    test("a code that gRPC does not know is UNKNOWN", async () => {
      await using peer = await scriptedServer((stream) => respond(stream, {}, { "grpc-status": "77" }));
      await using connection = await connected(transport, peer.port);
      expect((await callOnce(connection, "/t.S/Any").outcome).status.code).toBe(StatusCode.unknown);
    });

    test("a peer that speaks no HTTP/2 closes the connection and harms nobody", async () => {
      await using peer = await startTcpServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
      await using connection = transport.connect({ host: "127.0.0.1", port: peer.port, connectTimeoutMs: 2_000 });
      await connection.state.until((state) => state.t === "closed", AbortSignal.timeout(ceilingMs));
    });
  });

  describe("as a server of other clients", () => {
    test("garbage on the socket takes down that connection alone", async () => {
      await using listener = await listenOn(transport, { "/t.S/Echo": echo });
      const preface = bytesOf("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
      const inputs = [
        randomBytes(4_096),
        bytesOf("GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
        Buffer.concat([preface, randomBytes(4_096)]),
        Buffer.concat([preface, Buffer.alloc(9, 0xff)]),
        new Uint8Array(0),
      ];
      for (const input of inputs) await sendBytes(listener.port, input, 100);
      await stillServes(transport, listener);
    });

    test("requests that are not gRPC are answered and harm nobody", async () => {
      await using listener = await listenOn(transport, { "/t.S/Echo": echo });
      await using client = await rawClient(listener.port);
      expect((await client.request({ ":path": "/t.S/Echo", "content-type": "text/plain" }))[":status"]).toBe(415);
      expect((await client.request({ ":path": "/t.S/Echo" }))[":status"]).toBe(415);
      await stillServes(transport, listener);
    });

    test("odd paths and headers of a gRPC request are answered and harm nobody", async () => {
      await using listener = await listenOn(transport, { "/t.S/Echo": echo });
      await using client = await rawClient(listener.port);
      const grpc = { "content-type": "application/grpc", te: "trailers" };
      for (const path of ["/t.S/\u00ff\u00fe", "*", "/t.S/Echo?x=1", `/${"a".repeat(8_000)}`]) {
        await client.request({ ...grpc, ":path": path });
      }
      for (const timeout of ["", "abc", "99999999H", "-1S", "1x"]) {
        await client.request({ ...grpc, ":path": "/t.S/Echo", "grpc-timeout": timeout });
      }
      await client.request({ ...grpc, ":path": "/t.S/Echo", "x-bad-bin": "!!!", "grpc-encoding": "nope" });
      await stillServes(transport, listener);
    });

    test("a header bomb is refused and harms nobody", async () => {
      await using listener = await listenOn(transport, { "/t.S/Echo": echo });
      await using client = await rawClient(listener.port);
      const headers: OutgoingHttpHeaders = { ":path": "/t.S/Echo", "content-type": "application/grpc", te: "trailers" };
      for (let i = 0; i < 500; i++) headers[`x-bomb-${i}`] = "b".repeat(1_000);
      const reply = await client.request(headers);
      expect(reply["grpc-status"] ?? "8").toBe("8");
      await stillServes(transport, listener);
    });

    test.each([
      ["a length that never comes", [0, 0, 0, 0, 200, 1, 2, 3]],
      ["a length beyond the limit", [0, 0xff, 0xff, 0xff, 0xff]],
      ["a flag for compression that was not agreed", [1, 0, 0, 0, 1, 9]],
    ])("a message with %s ends its call and harms nobody", async (_name, frame) => {
      await using listener = await listenOn(transport, { "/t.S/Echo": echo });
      await using client = await rawClient(listener.port);
      const grpc = { "content-type": "application/grpc", te: "trailers" };
      await client.request({ ...grpc, ":path": "/t.S/Echo" }, Uint8Array.from(frame));
      await stillServes(transport, listener);
    });
  });
}

async function stillServes(transport: Transport, listener: Listener): Promise<void> {
  await using connection = await connected(transport, listener.port);
  expect((await callOnce(connection, "/t.S/Echo").outcome).status).toEqual(okStatus);
  await eventually(() => listener.openStreams === 0, { ceilingMs, what: "every stream of the bad client ending" });
}

async function connected(transport: Transport, port: number): Promise<Connection> {
  const connection = transport.connect({ host: "127.0.0.1", port });
  await connection.state.until((state) => state.t === "ready", AbortSignal.timeout(ceilingMs));
  return connection;
}

interface ScriptedServer extends AsyncDisposable {
  readonly port: number;
  readonly sessions: readonly ServerHttp2Session[];
}

async function scriptedServer(onStream: (stream: ServerHttp2Stream) => void): Promise<ScriptedServer> {
  const sessions: ServerHttp2Session[] = [];
  const server = createServer();
  server.on("session", (session) => void sessions.push(session));
  server.on("stream", (stream) => {
    stream.on("error", () => {});
    stream.resume();
    onStream(stream);
  });
  const port = await listenOnLoopback(server);
  return {
    port,
    sessions,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

function respond(
  stream: ServerHttp2Stream | undefined,
  head: OutgoingHttpHeaders,
  trailers: OutgoingHttpHeaders,
): void {
  stream?.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream?.respond({ ":status": 200, "content-type": "application/grpc", ...head }, { waitForTrailers: true });
  stream?.end();
}

interface RawClient extends AsyncDisposable {
  /** Sends one POST and resolves with the headers that came, or with none when the stream was reset or nothing came for a while. */
  request(headers: OutgoingHttpHeaders, body?: Uint8Array): Promise<IncomingHttpHeaders>;
}

async function rawClient(port: number): Promise<RawClient> {
  const session: ClientHttp2Session = connect(`http://127.0.0.1:${port}`, {
    maxSendHeaderBlockLength: 1024 * 1024,
  });
  session.on("error", () => {});
  return {
    request(headers, body) {
      return new Promise((resolve) => {
        const stream = session.request({ ":method": "POST", ...headers });
        const answered = (received: IncomingHttpHeaders): void => {
          resolve(received);
          stream.close();
        };
        stream.setTimeout(300, () => answered({}));
        stream.on("error", () => answered({}));
        stream.on("response", answered);
        stream.on("close", () => answered({}));
        stream.end(body);
      });
    },
    async [Symbol.asyncDispose]() {
      session.destroy();
    },
  };
}
