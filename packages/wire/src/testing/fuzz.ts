import { Duplex } from "node:stream";
import { systemClock } from "@weft/foundation";
import fc from "fast-check";
import { type ConnectionEnvironment, Http2Connection } from "../connection/connection.js";
import { FlushQueue } from "../connection/flush-queue.js";
import { defaultLimits } from "../connection/limits.js";
import { TimerWheel } from "../connection/timer-wheel.js";
import { BufferPool } from "../frame/buffer-pool.js";
import { clientPreface, FrameFlag, FrameType } from "../frame/frame-type.js";
import { encodeSettings } from "../frame/settings.js";
import { ClientCall } from "../grpc/client-call.js";
import { HpackEncoder, maxUpdateBytes } from "../hpack/encoder.js";
import { HeaderTemplate, maxFieldBytes } from "../hpack/header-template.js";
import { ServerConnection } from "../server-connection.js";
import type { StreamHandler } from "../transport.js";
import { echo } from "./fixture.js";
import { frame, grpcHead, grpcMessage } from "./raw-peer.js";

/** A socket that a test feeds by hand, and that keeps what is written to it. */
class FedSocket extends Duplex {
  readonly written: Buffer[] = [];

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.written.push(Buffer.from(chunk));
    done();
  }
}

type Fields = readonly (readonly [name: string, value: string])[];

const settingsFrame = frame(FrameType.settings, FrameFlag.none, 0, encodeSettings([]));

/** Header blocks as one connection sends them: each is encoded with the table that those before have left. */
function blocksOf(sections: readonly Fields[]): Buffer[] {
  const encoder = new HpackEncoder();
  return sections.map((fields) => {
    const bound = fields.reduce((sum, [name, value]) => sum + maxFieldBytes(name, value), maxUpdateBytes);
    const into = Buffer.alloc(bound);
    let at = encoder.begin(into, 0);
    for (const [name, value] of fields) at = encoder.field(into, at, name, value);
    return into.subarray(0, at);
  });
}

const requestBlocks = blocksOf([
  grpcHead("/t.S/Echo"),
  grpcHead("/t.S/Hold"),
  [...grpcHead("/t.S/Throw"), ["grpc-timeout", "1S"], ["x-a-bin", "AAEC"]],
  [...grpcHead("/t.S/Nope"), ["grpc-encoding", "gzip"]],
]);
const responseHead: Fields = [
  [":status", "200"],
  ["content-type", "application/grpc"],
];
const okTrailers: Fields = [["grpc-status", "0"]];
const failedTrailers: Fields = [
  ["grpc-status", "5"],
  ["grpc-message", "no%20such"],
];
const responseBlocks = blocksOf([
  responseHead,
  okTrailers,
  responseHead,
  failedTrailers,
  [...responseHead, ...failedTrailers],
]);

const acknowledgement = frame(FrameType.settings, FrameFlag.ack, 0);
const endHeaders = FrameFlag.endHeaders;
const endBoth = FrameFlag.endHeaders | FrameFlag.endStream;

/** What a well-behaved client might send, frame by frame. */
const requestTrace: readonly Buffer[] = [
  settingsFrame,
  acknowledgement,
  ...requestBlocks.flatMap((block, index) => [
    frame(FrameType.headers, endHeaders, 1 + 2 * index, block),
    frame(FrameType.data, FrameFlag.none, 1 + 2 * index, grpcMessage(Buffer.from("hello"))),
    frame(FrameType.ping, FrameFlag.none, 0, Buffer.alloc(8)),
    frame(FrameType.data, FrameFlag.endStream, 1 + 2 * index, grpcMessage(Buffer.from("bye"))),
  ]),
];

/** What a well-behaved server might answer to three calls. */
const responseTrace: readonly Buffer[] = [
  settingsFrame,
  acknowledgement,
  ...[1, 3, 5].flatMap((id, index) => {
    const [head, trailers] = responseBlocks.slice(2 * index);
    if (trailers === undefined) return [frame(FrameType.headers, endBoth, id, head)];
    return [
      frame(FrameType.headers, endHeaders, id, head),
      frame(FrameType.data, FrameFlag.none, id, grpcMessage(Buffer.from("hello"))),
      frame(FrameType.ping, FrameFlag.none, 0, Buffer.alloc(8)),
      frame(FrameType.headers, endBoth, id, trailers),
    ];
  }),
];

/** Payloads that fit their type often enough to get behind the first checks. */
function payloadOf(type: number, blocks: readonly Buffer[]): fc.Arbitrary<Uint8Array> {
  const noise = fc.uint8Array({ maxLength: 40 });
  switch (type) {
    case FrameType.headers:
    case FrameType.continuation:
      return fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...blocks) }, { weight: 1, arbitrary: noise });
    case FrameType.data:
      return fc.oneof(
        noise.map((bytes) => grpcMessage(bytes)),
        noise,
      );
    case FrameType.settings:
      return fc
        .array(fc.tuple(fc.integer({ min: 0, max: 8 }), fc.constantFrom(0, 1, 100, 16_384, 65_535, 0x7fff_ffff)), {
          maxLength: 4,
        })
        .map((settings) => encodeSettings(settings));
    case FrameType.ping:
      return fc.uint8Array({ minLength: 8, maxLength: 8 });
    case FrameType.windowUpdate:
    case FrameType.rstStream:
      return fc.oneof(fc.constant(Uint8Array.of(0, 0, 0, 1)), fc.uint8Array({ minLength: 4, maxLength: 4 }));
    case FrameType.goaway:
      return fc.uint8Array({ minLength: 8, maxLength: 12 });
    default:
      return noise;
  }
}

/** Any frame, on a few streams, with any of the flags that mean something. */
function anyFrame(blocks: readonly Buffer[]): fc.Arbitrary<Buffer> {
  const flags = fc.constantFrom(0, 1, 4, 5, 8, 0xc, 0xd, 0x20, 0x24, 0x25, 0xff);
  return fc
    .integer({ min: 0, max: 10 })
    .chain((type) =>
      fc
        .tuple(flags, fc.constantFrom(0, 1, 1, 1, 2, 3, 3, 5, 7, 9, 0x7fff_ffff), payloadOf(type, blocks))
        .map(([flag, id, payload]) => frame(type, flag, id, payload)),
    );
}

/** A valid trace in which frames were left out, doubled, moved, or bytes changed. */
function mutatedTrace(trace: readonly Buffer[]): fc.Arbitrary<Buffer> {
  const order = fc.array(fc.nat(trace.length - 1), { minLength: 1, maxLength: trace.length + 4 });
  const whole = fc.constant(trace.map((_, index) => index));
  const change = fc.tuple(fc.nat(), fc.nat(255));
  return fc.tuple(fc.oneof(order, whole), fc.array(change, { maxLength: 6 })).map(([indices, changes]) => {
    const bytes = Buffer.concat([settingsFrame, ...indices.map((index) => trace[index] ?? settingsFrame)]);
    for (const [at, value] of changes) bytes[at % bytes.length] = value;
    return bytes;
  });
}

/** What a peer might send after its preface: noise, mutated traces, frames in any order. */
function inputOf(trace: readonly Buffer[], blocks: readonly Buffer[]): fc.Arbitrary<Buffer> {
  return fc.oneof(
    fc.uint8Array({ maxLength: 120 }).map((bytes) => Buffer.from(bytes)),
    mutatedTrace(trace),
    fc.array(anyFrame(blocks), { maxLength: 12 }).map((frames) => Buffer.concat([settingsFrame, ...frames])),
  );
}

/** Bytes, and the lengths of the chunks in which they come. */
export type FuzzInput = readonly [bytes: Buffer, chunks: readonly number[]];

const chunkLengths = fc.array(fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constant(100_000)), {
  minLength: 1,
  maxLength: 4,
});

export const clientBytes: fc.Arbitrary<FuzzInput> = fc.tuple(
  fc.tuple(inputOf(requestTrace, requestBlocks), fc.integer({ min: 0, max: 40 })).map(([bytes, odd]) =>
    // One in forty has a broken preface too.
    Buffer.concat([odd === 0 ? clientPreface.subarray(3) : clientPreface, bytes]),
  ),
  chunkLengths,
);
export const serverBytes: fc.Arbitrary<FuzzInput> = fc.tuple(inputOf(responseTrace, responseBlocks), chunkLengths);

const environment: ConnectionEnvironment = {
  clock: systemClock,
  wheel: new TimerWheel(systemClock),
  pool: new BufferPool(),
  flushQueue: new FlushQueue(),
};

function feed(socket: FedSocket, [bytes, chunks]: FuzzInput): void {
  let at = 0;
  for (let i = 0; at < bytes.length && !socket.destroyed; i += 1) {
    const length = chunks[i % chunks.length] ?? 1;
    socket.emit("data", bytes.subarray(at, at + length));
    at += length;
  }
}

/** Checks that whole frames were written, and that a connection that was given up by this side ended with GOAWAY. */
function checkWritten(socket: FedSocket, from: number, isOver: boolean): void {
  const bytes = Buffer.concat(socket.written).subarray(from);
  let at = 0;
  let lastType = -1;
  while (at < bytes.length) {
    if (bytes.length - at < 9) throw new Error("half a frame header was written");
    lastType = bytes[at + 3] ?? -1;
    at += 9 + bytes.readUIntBE(at, 3);
  }
  if (at !== bytes.length) throw new Error("half a frame was written");
  if (isOver && lastType !== FrameType.goaway) throw new Error("the connection was given up without GOAWAY");
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Feeds a server; throws when anything is left of it, or its answer is none. */
export async function fuzzServer(input: FuzzInput): Promise<void> {
  const socket = new FedSocket();
  let open = 0;
  let isClosed = false;
  const hold: StreamHandler = () => ({ message() {}, halfClose() {}, cancel() {} });
  const settings = {
    methods: new Map<string, StreamHandler>([
      ["/t.S/Echo", echo],
      ["/t.S/Hold", hold],
      [
        "/t.S/Throw",
        (stream) => {
          stream.read(1);
          return {
            message() {
              throw new Error("thrown");
            },
            halfClose() {},
            cancel() {},
          };
        },
      ],
    ]),
    maxMessageBytes: 1_000,
    maxMetadataBytes: 1_000,
    maxConcurrentStreams: 3,
    maxConnectionAgeMs: undefined,
    maxConnectionIdleMs: undefined,
    keepalive: undefined,
    encoding: "identity" as const,
    plainHandler: undefined,
    limits: defaultLimits,
  };
  new ServerConnection(socket, "fuzz", settings, environment, {
    streams: (change) => {
      open += change;
    },
    closed: () => {
      isClosed = true;
    },
  });
  feed(socket, input);
  await turn();
  checkWritten(socket, 0, isClosed);
  socket.destroy();
  await turn();
  if (open !== 0) throw new Error(`${open} calls are left`);
  if (!isClosed) throw new Error("the connection is left");
}

/** Feeds a client that has three calls open; each must end once, and nothing may be left. */
export async function fuzzClient(input: FuzzInput): Promise<void> {
  const socket = new FedSocket();
  const ends = [0, 0, 0];
  let isClosed = false;
  const connection = new Http2Connection({
    socket,
    isServer: false,
    owner: {
      ready() {},
      request: () => {
        throw new Error("a client got a request");
      },
      begin() {},
      goaway() {},
      idle() {},
      closed: () => {
        isClosed = true;
      },
    },
    limits: defaultLimits,
    environment,
    maxConcurrentStreams: 0,
    keepalive: undefined,
  });
  const template = new HeaderTemplate(grpcHead("/t.S/Any").map(([name, value]) => ({ name, value })));
  for (const index of ends.keys()) {
    const call = new ClientCall({
      connection,
      events: {
        head() {},
        message() {},
        end: () => {
          ends[index] = (ends[index] ?? 0) + 1;
        },
      },
      template,
      fields: [],
      timeoutMs: index === 0 ? 1_000 : undefined,
      maxMessageBytes: 1_000,
      maxMetadataBytes: 1_000,
      encoding: "identity",
    });
    call.start();
    call.read(index);
    call.write(Buffer.from("request"));
    if (index > 0) call.end();
  }
  feed(socket, input);
  await turn();
  checkWritten(socket, clientPreface.length, isClosed);
  socket.destroy();
  await turn();
  if (ends.some((count) => count > 1)) throw new Error(`calls ended ${ends.join()} times`);
  // A call whose trailers have come waits for somebody to read its messages; any other has ended with the connection.
  if (connection.streams.size > 0 || !isClosed) throw new Error("the connection is left");
}
