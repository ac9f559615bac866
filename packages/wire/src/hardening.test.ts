import { once } from "node:events";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { eventually } from "@weft/foundation/testing";
import { describe, expect, test } from "vitest";
import { ErrorCode } from "./frame/error-code.js";
import { clientPreface, FrameFlag, FrameType } from "./frame/frame-type.js";
import { encodeSettings, SettingId } from "./frame/settings.js";
import { createHttp2Transport, type Http2TransportOptions } from "./http2-transport.js";
import { okStatus, StatusCode } from "./status.js";
import { bytesOf, callOnce, ceilingMs, echo, hanging, listenOn } from "./testing/fixture.js";
import { frame, grpcHead, grpcMessage, RawPeer, startRawServer, uint32 } from "./testing/raw-peer.js";
import type { Listener, ListenOptions, StreamHandler } from "./transport.js";

const transport = createHttp2Transport();
const ping = frame(FrameType.ping, FrameFlag.none, 0, Buffer.alloc(8));
const burst = 1_000;

function withLimits(limits: Http2TransportOptions["limits"]): ReturnType<typeof createHttp2Transport> {
  return createHttp2Transport(limits === undefined ? {} : { limits });
}

function serve(
  methods: Readonly<Record<string, StreamHandler>> = { "/t.S/Echo": echo },
  options: Partial<ListenOptions> = {},
): Promise<Listener> {
  return listenOn(transport, methods, options);
}

/** Another client is served as if nothing had happened, and nothing is left of the bad one. */
async function expectServing(listener: Listener): Promise<void> {
  await using connection = transport.connect({ host: "127.0.0.1", port: listener.port });
  await connection.state.until((state) => state.t === "ready", AbortSignal.timeout(ceilingMs));
  expect((await callOnce(connection, "/t.S/Echo").outcome).status).toEqual(okStatus);
  await eventually(() => listener.openStreams === 0, { ceilingMs });
}

/** Memory outside the heap, where buffers are, after a collection if the process allows one. */
function bufferBytes(): number {
  return process.memoryUsage().arrayBuffers;
}

describe("floods end their connection with ENHANCE_YOUR_CALM, after no more than the limit, and nobody else notices", () => {
  test("rapid reset: streams opened and reset at once (CVE-2023-44487) start at most the burst of handlers", async () => {
    let started = 0;
    const hang = hanging();
    await using listener = await serve({
      "/t.S/Hang": (stream) => {
        started += 1;
        return hang.handler(stream);
      },
      "/t.S/Echo": echo,
    });
    await using peer = await RawPeer.connect(listener.port);
    const attack: Buffer[] = [];
    for (let id = 1; id < 10_000; id += 2) {
      attack.push(peer.headers(id, grpcHead("/t.S/Hang")));
      attack.push(frame(FrameType.rstStream, FrameFlag.none, id, uint32(ErrorCode.cancel)));
    }
    peer.send(...attack);
    expect(await peer.goawayCode()).toBe(ErrorCode.enhanceYourCalm);
    await peer.closed();
    expect(started).toBeLessThanOrEqual(burst + 200 + 1);
    expect(hang.cancels).toHaveLength(started);
    await expectServing(listener);
  });

  test("provoked resets: streams that the server has to reset (CVE-2025-8671) start at most the burst of handlers", async () => {
    const hang = hanging();
    await using listener = await serve({ "/t.S/Hang": hang.handler, "/t.S/Echo": echo });
    await using peer = await RawPeer.connect(listener.port);
    const attack: Buffer[] = [];
    for (let id = 1; id < 10_000; id += 2) {
      attack.push(peer.headers(id, grpcHead("/t.S/Hang")));
      attack.push(frame(FrameType.windowUpdate, FrameFlag.none, id, uint32(0)));
    }
    peer.send(...attack);
    expect(await peer.goawayCode()).toBe(ErrorCode.enhanceYourCalm);
    expect(hang.streams.length).toBeLessThanOrEqual(burst + 200 + 1);
    await expectServing(listener);
  });

  test("a CONTINUATION flood (CVE-2024-27316) is cut after 16 frames", async () => {
    await using listener = await serve();
    await using peer = await RawPeer.connect(listener.port);
    peer.send(frame(FrameType.headers, FrameFlag.none, 1, peer.block(grpcHead("/t.S/Echo"))));
    for (let i = 0; i < 100; i += 1) peer.send(frame(FrameType.continuation, FrameFlag.none, 1));
    expect(await peer.goawayCode()).toBe(ErrorCode.enhanceYourCalm);
    await expectServing(listener);
  });

  test("a header block beyond 64 KiB is cut, however few frames it takes", async () => {
    await using listener = await serve();
    await using peer = await RawPeer.connect(listener.port);
    const part = Buffer.alloc(16_000, 0x82);
    peer.send(frame(FrameType.headers, FrameFlag.none, 1, part));
    for (let i = 0; i < 5; i += 1) peer.send(frame(FrameType.continuation, FrameFlag.none, 1, part));
    expect(await peer.goawayCode()).toBe(ErrorCode.enhanceYourCalm);
    await expectServing(listener);
  });

  test.each([
    ["PING", () => ping],
    ["SETTINGS", () => frame(FrameType.settings, FrameFlag.none, 0)],
    ["SETTINGS acknowledgement", () => frame(FrameType.settings, FrameFlag.ack, 0)],
    ["PRIORITY", () => frame(FrameType.priority, FrameFlag.none, 3, Buffer.alloc(5))],
    ["empty DATA", () => frame(FrameType.data, FrameFlag.none, 1)],
    ["WINDOW_UPDATE of the connection", () => frame(FrameType.windowUpdate, FrameFlag.none, 0, uint32(1))],
    ["WINDOW_UPDATE of a stream", () => frame(FrameType.windowUpdate, FrameFlag.none, 1, uint32(1))],
    ["RST_STREAM of a closed stream", () => frame(FrameType.rstStream, FrameFlag.none, 1, uint32(8))],
    ["unknown", () => frame(0x42, 0xff, 7, Buffer.alloc(3))],
  ])("%s flood", async (_name, make) => {
    const hang = hanging();
    await using listener = await serve({ "/t.S/Hang": hang.handler, "/t.S/Echo": echo });
    await using peer = await RawPeer.connect(listener.port);
    peer.send(peer.headers(1, grpcHead("/t.S/Hang")));
    peer.send(Buffer.concat(Array.from({ length: 5 * burst }, make)));
    expect(await peer.goawayCode()).toBe(ErrorCode.enhanceYourCalm);
    await peer.closed();
    expect(peer.frames.filter(({ type }) => type === FrameType.ping).length).toBeLessThanOrEqual(burst + 100);
    await expectServing(listener);
  });

  test("a client holds a server to the same: a PING flood ends the connection", async () => {
    await using server = await startRawServer((peer) =>
      peer.send(Buffer.concat(Array.from({ length: 5 * burst }, () => ping))),
    );
    await using connection = transport.connect({ host: "127.0.0.1", port: server.port });
    const state = await connection.state.until((now) => now.t === "closed", AbortSignal.timeout(ceilingMs));
    expect(String(state.t === "closed" && state.cause)).toContain("too_many_pings");
  });

  test("keepalive abuse: who pings too often is told too_many_pings (gRFC A8)", async () => {
    await using listener = await serve();
    await using peer = await RawPeer.connect(listener.port);
    peer.send(Buffer.concat(Array.from({ length: 5 * burst }, () => ping)));
    const goaway = await peer.until(
      ({ type, payload }) => type === FrameType.goaway && payload.readUInt32BE(4) !== 0,
      "GOAWAY",
    );
    expect(goaway.payload.toString("utf8", 8)).toBe("too_many_pings");
  });

  test("while one client floods, another's calls go on", async () => {
    await using listener = await serve();
    await using good = transport.connect({ host: "127.0.0.1", port: listener.port });
    await good.state.until((state) => state.t === "ready", AbortSignal.timeout(ceilingMs));
    const peers: RawPeer[] = [];
    for (let i = 0; i < 20; i += 1) {
      const peer = await RawPeer.connect(listener.port);
      peers.push(peer);
      peer.send(Buffer.concat(Array.from({ length: 20 * burst }, () => ping)));
      expect((await callOnce(good, "/t.S/Echo").outcome).status).toEqual(okStatus);
    }
    for (const peer of peers) await peer[Symbol.asyncDispose]();
    expect(good.state.value.t).toBe("ready");
  });
});

describe("header compression", () => {
  test("an HPACK bomb is answered RESOURCE_EXHAUSTED, costs no memory, and the table stays right", async () => {
    await using listener = await serve();
    await using peer = await RawPeer.connect(listener.port);
    peer.send(peer.headers(1, [...grpcHead("/t.S/Nope"), ["x-bomb", "b".repeat(1_900)]], FrameFlag.endStream));
    await peer.until(({ streamId }) => streamId === 1, "the first answer");
    const before = process.memoryUsage();
    // The newest entry, 16,000 times: 30 MB of fields in 16 KB.
    const bomb = Buffer.concat([peer.block(grpcHead("/t.S/Nope")), Buffer.alloc(16_000, 0xbe)]);
    for (let id = 3; id < 103; id += 2)
      peer.send(frame(FrameType.headers, FrameFlag.endHeaders | FrameFlag.endStream, id, bomb));
    await peer.until(({ streamId }) => streamId === 101, "the last answer");
    expect(process.memoryUsage().heapUsed - before.heapUsed).toBeLessThan(50 * 1024 * 1024);
    peer.send(
      peer.headers(201, grpcHead("/t.S/Echo")),
      frame(FrameType.data, FrameFlag.endStream, 201, grpcMessage(bytesOf("still"))),
    );
    const data = await peer.until(({ type, streamId }) => type === FrameType.data && streamId === 201, "the echo");
    expect(data.payload.toString("utf8", 5)).toBe("still");
  });

  test("requests that are refused keep the table right", async () => {
    const hang = hanging();
    await using listener = await serve({ "/t.S/Hang": hang.handler, "/t.S/Echo": echo }, { maxConcurrentStreams: 1 });
    await using peer = await RawPeer.connect(listener.port);
    peer.send(peer.headers(1, grpcHead("/t.S/Hang")));
    for (let id = 3; id < 43; id += 2)
      peer.send(peer.headers(id, [...grpcHead("/t.S/Echo"), [`x-new-${id}`, "value"]]));
    await peer.until(({ type, streamId }) => type === FrameType.rstStream && streamId === 41, "the last refusal");
    hang.streams[0]?.end(okStatus);
    await peer.until(({ streamId }) => streamId === 1, "the end of the first call");
    peer.send(peer.headers(43, [...grpcHead("/t.S/Echo"), ["x-new-41", "value"]], FrameFlag.endStream));
    await peer.until(({ type, streamId }) => type === FrameType.headers && streamId === 43, "an answer");
    expect(peer.frames.some(({ type }) => type === FrameType.goaway)).toBe(false);
  });
});

describe("peers that are slow, silent or do not read", () => {
  test.each([
    ["nothing", () => {}],
    ["half of the preface", (write: (bytes: Uint8Array) => void) => write(clientPreface.subarray(0, 12))],
    ["the preface and no SETTINGS", (write: (bytes: Uint8Array) => void) => write(clientPreface)],
    ["the first byte of TLS", (write: (bytes: Uint8Array) => void) => write(Uint8Array.of(0x16))],
  ])("who sends %s is cut when the time for it is over", async (_name, begin) => {
    await using listener = await listenOn(withLimits({ handshakeTimeoutMs: 100 }), {});
    const socket = connect({ host: "127.0.0.1", port: listener.port });
    socket.on("error", () => {});
    await once(socket, "connect");
    begin((bytes) => void socket.write(bytes));
    socket.resume();
    await once(socket, "close");
  });

  test("a preface that comes a byte at a time gains no time by that", async () => {
    await using listener = await listenOn(withLimits({ handshakeTimeoutMs: 200 }), {});
    const socket = connect({ host: "127.0.0.1", port: listener.port });
    socket.on("error", () => {});
    socket.resume();
    let sent = 0;
    const timer = setInterval(() => {
      if (!socket.destroyed && sent < clientPreface.length) socket.write(clientPreface.subarray(sent, ++sent));
    }, 40);
    await once(socket, "close");
    clearInterval(timer);
    expect(sent).toBeLessThan(clientPreface.length);
  });

  test("SETTINGS that are never acknowledged end the connection with SETTINGS_TIMEOUT", async () => {
    await using listener = await listenOn(withLimits({ handshakeTimeoutMs: 50, settingsTimeoutMs: 50 }), {});
    await using peer = await RawPeer.connect(listener.port);
    expect(await peer.goawayCode()).toBe(ErrorCode.settingsTimeout);
  });

  test("who asks and never reads is not read either, and is cut: no answers pile up", async () => {
    let answered = 0;
    const reply = new Uint8Array(8 * 1024);
    await using listener = await listenOn(withLimits({ writeStallMs: 300 }), {
      "/t.S/Reply": (stream) => {
        answered += 1;
        stream.write(reply);
        stream.end(okStatus);
        return { message() {}, halfClose() {}, cancel() {} };
      },
    });
    await using peer = await RawPeer.connect(listener.port, [[SettingId.initialWindowSize, 0x7fff_ffff]]);
    peer.send(frame(FrameType.windowUpdate, FrameFlag.none, 0, uint32(0x7fff_0000 - 65_535)));
    peer.socket.pause();
    const before = bufferBytes();
    let peak = 0;
    for (let id = 1; id < 40_000 && !peer.socket.destroyed; id += 2) {
      peer.send(peer.headers(id, grpcHead("/t.S/Reply"), FrameFlag.endStream));
      if (id % 1_000 === 1) {
        await new Promise((resolve) => setImmediate(resolve));
        peak = Math.max(peak, bufferBytes() - before);
      }
    }
    // What the kernel's buffers took was answered; 20,000 answers would be 160 MB.
    expect(answered).toBeLessThan(10_000);
    expect(peak).toBeLessThan(64 * 1024 * 1024);
    await eventually(() => listener.openStreams === 0, { ceilingMs });
  });

  test("a client that is silently gone is found by keepalive, a server's silence by the connect timeout", async () => {
    await using listener = await serve({}, { keepalive: { timeMs: 50, timeoutMs: 50 } });
    await using peer = await RawPeer.connect(listener.port);
    peer.send(frame(FrameType.settings, FrameFlag.ack, 0));
    await peer.closed();
  });

  test("a connection without streams is ended after its idle time, one with a stream is not", async () => {
    const hang = hanging();
    await using listener = await serve({ "/t.S/Hang": hang.handler }, { maxConnectionIdleMs: 100 });
    await using idle = transport.connect({ host: "127.0.0.1", port: listener.port });
    await using busy = transport.connect({ host: "127.0.0.1", port: listener.port });
    await busy.state.until((state) => state.t === "ready", AbortSignal.timeout(ceilingMs));
    callOnce(busy, "/t.S/Hang");
    await eventually(() => hang.streams.length === 1, { ceilingMs });
    await idle.state.until((state) => state.t === "closed", AbortSignal.timeout(ceilingMs));
    expect(busy.state.value.t).toBe("ready");
  });
});

describe("windows", () => {
  test("a peer with a window of one byte gets its answer byte by byte", async () => {
    await using listener = await serve();
    await using peer = await RawPeer.connect(listener.port, [[SettingId.initialWindowSize, 1]]);
    peer.send(
      peer.headers(1, grpcHead("/t.S/Echo")),
      frame(FrameType.data, FrameFlag.endStream, 1, grpcMessage(bytesOf("tiny"))),
    );
    const data = (): Buffer =>
      Buffer.concat(peer.frames.filter(({ type }) => type === FrameType.data).map(({ payload }) => payload));
    for (let bytes = 1; bytes <= 9; bytes += 1) {
      await eventually(() => data().length === bytes, { ceilingMs });
      peer.send(frame(FrameType.windowUpdate, FrameFlag.none, 1, uint32(1)));
    }
    await peer.until(
      ({ type, flags }) => type === FrameType.headers && (flags & FrameFlag.endStream) !== 0,
      "trailers",
    );
    expect(data().toString("utf8", 5)).toBe("tiny");
  });

  test.each([
    ["the connection's, by WINDOW_UPDATE", () => frame(FrameType.windowUpdate, 0, 0, uint32(0x7fff_ffff))],
    [
      "the stream's, by SETTINGS",
      () => frame(FrameType.settings, 0, 0, encodeSettings([[SettingId.initialWindowSize, 0x8000_0000]])),
    ],
  ])("an overflow of %s is FLOW_CONTROL_ERROR", async (_name, make) => {
    await using listener = await serve();
    await using peer = await RawPeer.connect(listener.port);
    peer.send(make());
    expect(await peer.goawayCode()).toBe(ErrorCode.flowControlError);
  });

  test("DATA beyond the stream's window resets the stream, beyond the connection's ends the connection", async () => {
    const hang = hanging(0);
    const limits = { streamWindowBytes: 65_535, connectionWindowBytes: 262_144, maxUnreadBytes: 65_536 };
    await using listener = await listenOn(withLimits(limits), { "/t.S/Hang": hang.handler });
    await using peer = await RawPeer.connect(listener.port);
    const part = frame(FrameType.data, FrameFlag.none, 1, Buffer.alloc(16_000));
    peer.send(peer.headers(1, grpcHead("/t.S/Hang")), ...Array.from({ length: 5 }, () => part));
    const reset = await peer.until(({ type }) => type === FrameType.rstStream, "RST_STREAM");
    expect(reset.payload.readUInt32BE(0)).toBe(ErrorCode.flowControlError);
    for (let id = 3; id < 103; id += 2) {
      peer.send(
        peer.headers(id, grpcHead("/t.S/Hang")),
        frame(FrameType.data, FrameFlag.none, id, Buffer.alloc(16_000)),
      );
    }
    expect(await peer.goawayCode()).toBe(ErrorCode.flowControlError);
    expect(hang.cancels.length).toBe(hang.streams.length);
  });
});

describe("messages", () => {
  test("a declared length reserves nothing: a hundred streams that promise 4 MiB and send a byte cost a few", async () => {
    const hang = hanging();
    await using listener = await serve({ "/t.S/Hang": hang.handler, "/t.S/Echo": echo });
    await using peer = await RawPeer.connect(listener.port);
    const before = bufferBytes();
    for (let id = 1; id < 201; id += 2) {
      peer.send(peer.headers(id, grpcHead("/t.S/Hang")));
      peer.send(frame(FrameType.data, FrameFlag.none, id, Uint8Array.of(0, 0, 0x3f, 0, 0, 1)));
    }
    await eventually(() => hang.streams.length === 100, { ceilingMs });
    await new Promise((resolve) => setImmediate(resolve));
    expect(bufferBytes() - before).toBeLessThan(16 * 1024 * 1024);
    await peer[Symbol.asyncDispose]();
    await expectServing(listener);
  });

  test("a decompression bomb ends its call RESOURCE_EXHAUSTED and is not unfolded", async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    await using listener = await serve();
    await using peer = await RawPeer.connect(listener.port);
    const before = bufferBytes();
    peer.send(peer.headers(1, [...grpcHead("/t.S/Echo"), ["grpc-encoding", "gzip"]]));
    const body = grpcMessage(bomb, 1);
    for (let at = 0; at < body.length; at += 16_000)
      peer.send(frame(FrameType.data, 0, 1, body.subarray(at, at + 16_000)));
    await peer.until(
      ({ type, flags }) => type === FrameType.headers && (flags & FrameFlag.endStream) !== 0,
      "trailers",
    );
    expect(bufferBytes() - before).toBeLessThan(32 * 1024 * 1024);
    await expectServing(listener);
  });

  test("a compressed message within the limit is taken, and a broken one ends its call INTERNAL", async () => {
    await using listener = await serve();
    await using pair = transport.connect({ host: "127.0.0.1", port: listener.port, compression: "gzip" });
    await pair.state.until((state) => state.t === "ready", AbortSignal.timeout(ceilingMs));
    const text = "abc".repeat(10_000);
    const probe = callOnce(pair, "/t.S/Echo", bytesOf(text));
    expect((await probe.outcome).status).toEqual(okStatus);
    expect(Buffer.from(probe.messages[0] ?? []).toString()).toBe(text);
    await using peer = await RawPeer.connect(listener.port);
    peer.send(peer.headers(1, [...grpcHead("/t.S/Echo"), ["grpc-encoding", "gzip"]]));
    peer.send(frame(FrameType.data, FrameFlag.endStream, 1, grpcMessage(bytesOf("no gzip"), 1)));
    await peer.until(
      ({ type, flags }) => type === FrameType.headers && (flags & FrameFlag.endStream) !== 0,
      "trailers",
    );
    await expectServing(listener);
  });
});

describe("counts", () => {
  test("streams beyond the limit are refused and connections beyond it closed", async () => {
    const hang = hanging();
    await using listener = await serve({ "/t.S/Hang": hang.handler }, { maxConcurrentStreams: 3, maxConnections: 1 });
    await using peer = await RawPeer.connect(listener.port);
    for (let id = 1; id < 11; id += 2) peer.send(peer.headers(id, grpcHead("/t.S/Hang")));
    const refused = await peer.until(
      ({ type, streamId }) => type === FrameType.rstStream && streamId === 9,
      "the refusal",
    );
    expect(refused.payload.readUInt32BE(0)).toBe(ErrorCode.refusedStream);
    expect(hang.streams).toHaveLength(3);
    await using second = await RawPeer.connect(listener.port);
    await second.closed();
  });

  test("a client that has used up its stream ids ends the calls that are open, and takes no more", async () => {
    const hang = hanging();
    await using listener = await serve({ "/t.S/Hang": hang.handler, "/t.S/Echo": echo });
    await using connection = withLimits({ lastStreamId: 5 }).connect({ host: "127.0.0.1", port: listener.port });
    await connection.state.until((state) => state.t === "ready", AbortSignal.timeout(ceilingMs));
    const open = callOnce(connection, "/t.S/Hang");
    const calls = Array.from({ length: 4 }, () => callOnce(connection, "/t.S/Echo"));
    const outcomes = await Promise.all(calls.map((call) => call.outcome));
    expect(outcomes.map(({ status }) => status.code)).toEqual([0, 0, StatusCode.unavailable, StatusCode.unavailable]);
    expect(outcomes.slice(2).map(({ processed }) => processed)).toEqual([false, false]);
    hang.streams[0]?.end(okStatus);
    expect((await open.outcome).status).toEqual(okStatus);
    await connection.state.until((state) => state.t === "closed", AbortSignal.timeout(ceilingMs));
  });

  test("a server takes the last stream id, and none after it", async () => {
    await using listener = await serve();
    await using peer = await RawPeer.connect(listener.port);
    peer.send(peer.headers(0x7fff_ffff, grpcHead("/t.S/Echo"), FrameFlag.endStream));
    await peer.until(({ type }) => type === FrameType.headers, "an answer");
    peer.send(peer.headers(1, grpcHead("/t.S/Echo"), FrameFlag.endStream));
    expect(await peer.goawayCode()).toBe(ErrorCode.protocolError);
  });
});

describe("responses out of rule end their call INTERNAL and leave the connection", () => {
  test.each<[string, readonly (readonly [string, string])[]]>([
    [
      "upper case in a name",
      [
        [":status", "200"],
        ["Content-Type", "application/grpc"],
      ],
    ],
    [
      "a pseudo-header field of requests",
      [
        [":status", "200"],
        [":path", "/"],
      ],
    ],
    ["no :status", [["content-type", "application/grpc"]]],
    [
      ":status after a regular field",
      [
        ["content-type", "application/grpc"],
        [":status", "200"],
      ],
    ],
    [
      "a field of HTTP/1.1",
      [
        [":status", "200"],
        ["content-type", "application/grpc"],
        ["connection", "close"],
      ],
    ],
  ])("%s", async (_name, fields) => {
    await using server = await startRawServer((peer) => {
      void peer
        .until(({ type }) => type === FrameType.headers, "a request")
        .then(() => {
          peer.send(peer.headers(1, fields, FrameFlag.endStream));
        });
    });
    await using connection = transport.connect({ host: "127.0.0.1", port: server.port });
    await connection.state.until((state) => state.t === "ready", AbortSignal.timeout(ceilingMs));
    expect((await callOnce(connection, "/t.S/Any").outcome).status.code).toBe(StatusCode.internal);
    expect(connection.state.value.t).toBe("ready");
  });
});
