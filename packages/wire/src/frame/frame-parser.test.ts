import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ConnectionError, ErrorCode } from "./error-code.js";
import { FrameParser, type FrameSink } from "./frame-parser.js";
import { clientPreface, FrameFlag, FrameType } from "./frame-type.js";

const limits = { maxFrameBytes: 16_384, maxHeaderBlockBytes: 1_000, maxContinuations: 3 };

function frame(type: number, flags: number, streamId: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, payload]);
}

/** What a parser tells, as text; the pieces of one DATA frame are put together. */
class Recorder implements FrameSink {
  readonly events: string[] = [];
  #data = "";

  dataFrame(streamId: number, flags: number, length: number): void {
    this.#data = `data ${streamId} ${flags} ${length} `;
  }
  dataBytes(chunk: Buffer, start: number, end: number): void {
    this.#data += chunk.toString("hex", start, end);
  }
  dataEnd(): void {
    this.events.push(this.#data);
  }
  headers(streamId: number, flags: number, chunk: Buffer, start: number, end: number): void {
    this.events.push(`headers ${streamId} ${flags} ${chunk.toString("hex", start, end)}`);
  }
  priority(): void {
    this.events.push("priority");
  }
  rstStream(streamId: number, errorCode: number): void {
    this.events.push(`reset ${streamId} ${errorCode}`);
  }
  settings(chunk: Buffer, start: number, end: number): void {
    this.events.push(`settings ${chunk.toString("hex", start, end)}`);
  }
  settingsAck(): void {
    this.events.push("settings ack");
  }
  ping(isAck: boolean, chunk: Buffer, start: number): void {
    this.events.push(`ping ${isAck} ${chunk.toString("hex", start, start + 8)}`);
  }
  goaway(lastStreamId: number, errorCode: number, chunk: Buffer, start: number, end: number): void {
    this.events.push(`goaway ${lastStreamId} ${errorCode} ${chunk.toString("utf8", start, end)}`);
  }
  windowUpdate(streamId: number, increment: number): void {
    this.events.push(`window ${streamId} ${increment}`);
  }
  unknownFrame(): void {
    this.events.push("unknown");
  }
}

const settings = frame(FrameType.settings, FrameFlag.none, 0);

function parse(chunks: readonly Buffer[], expectPreface = false): string[] {
  const recorder = new Recorder();
  const parser = new FrameParser(recorder, limits, { expectPreface });
  for (const chunk of chunks) parser.receive(chunk);
  return recorder.events;
}

function codeOf(bytes: Buffer): number | undefined {
  try {
    parse([settings, bytes]);
    return undefined;
  } catch (error) {
    return error instanceof ConnectionError ? error.code : -1;
  }
}

const trace = Buffer.concat([
  clientPreface,
  settings,
  frame(FrameType.headers, FrameFlag.endHeaders, 1, Buffer.from("82", "hex")),
  frame(
    FrameType.headers,
    FrameFlag.padded | FrameFlag.priority | FrameFlag.endStream,
    3,
    Buffer.from("020000000007aabb0000", "hex"),
  ),
  frame(FrameType.continuation, FrameFlag.none, 3, Buffer.from("cc", "hex")),
  frame(FrameType.continuation, FrameFlag.endHeaders, 3, Buffer.from("dd", "hex")),
  frame(FrameType.data, FrameFlag.none, 1, Buffer.from("0102030405", "hex")),
  frame(FrameType.data, FrameFlag.padded | FrameFlag.endStream, 1, Buffer.from("03060708000000", "hex")),
  frame(FrameType.data, FrameFlag.padded, 1, Buffer.from("00", "hex")),
  frame(FrameType.data, FrameFlag.none, 1),
  frame(FrameType.priority, FrameFlag.none, 5, Buffer.alloc(5)),
  frame(FrameType.rstStream, FrameFlag.none, 3, Buffer.from("00000008", "hex")),
  frame(FrameType.settings, FrameFlag.ack, 0),
  frame(FrameType.ping, FrameFlag.ack, 0, Buffer.from("0102030405060708", "hex")),
  frame(FrameType.windowUpdate, FrameFlag.none, 0, Buffer.from("80000010", "hex")),
  frame(0x99, 0xff, 77, Buffer.alloc(3)),
  frame(
    FrameType.goaway,
    FrameFlag.none,
    0,
    Buffer.concat([Buffer.from("0000000500000002", "hex"), Buffer.from("bye")]),
  ),
]);
const events = [
  "settings ",
  "headers 1 4 82",
  "headers 3 41 aabbccdd",
  "data 1 0 5 0102030405",
  "data 1 9 7 060708",
  "data 1 8 1 ",
  "data 1 0 0 ",
  "priority",
  "reset 3 8",
  "settings ack",
  "ping true 0102030405060708",
  "window 0 16",
  "unknown",
  "goaway 5 2 bye",
];

describe("a trace of every type of frame", () => {
  test("is told frame by frame", () => {
    expect(parse([trace], true)).toEqual(events);
  });

  test("is the same in single bytes", () => {
    expect(
      parse(
        Array.from(trace, (byte) => Buffer.of(byte)),
        true,
      ),
    ).toEqual(events);
  });

  test("is the same however it is cut", () => {
    const cuts = fc.array(fc.integer({ min: 0, max: trace.length }), { maxLength: 12 });
    fc.assert(
      fc.property(cuts, (places) => {
        const ends = [0, ...places.sort((a, b) => a - b), trace.length];
        const chunks = ends.slice(1).map((end, index) => trace.subarray(ends[index], end));
        expect(parse(chunks, true)).toEqual(events);
      }),
    );
  });
});

describe("what breaks RFC 9113 ends the connection with its code", () => {
  test.each([
    ["a frame longer than allowed", frame(FrameType.data, 0, 1, Buffer.alloc(16_385)), ErrorCode.frameSizeError],
    ["DATA on stream 0", frame(FrameType.data, 0, 0, Buffer.alloc(1)), ErrorCode.protocolError],
    ["padding as long as its frame", frame(FrameType.data, FrameFlag.padded, 1, Buffer.of(1)), ErrorCode.protocolError],
    ["padding of an empty frame", frame(FrameType.data, FrameFlag.padded, 1), ErrorCode.protocolError],
    ["HEADERS on stream 0", frame(FrameType.headers, FrameFlag.endHeaders, 0), ErrorCode.protocolError],
    [
      "padding longer than HEADERS",
      frame(FrameType.headers, FrameFlag.endHeaders | FrameFlag.padded, 1, Buffer.of(9)),
      ErrorCode.protocolError,
    ],
    [
      "a stream that depends on itself",
      frame(FrameType.priority, 0, 3, Buffer.from("0000000300", "hex")),
      ErrorCode.protocolError,
    ],
    ["PRIORITY of four bytes", frame(FrameType.priority, 0, 3, Buffer.alloc(4)), ErrorCode.frameSizeError],
    ["RST_STREAM of three bytes", frame(FrameType.rstStream, 0, 1, Buffer.alloc(3)), ErrorCode.frameSizeError],
    ["SETTINGS on a stream", frame(FrameType.settings, 0, 1), ErrorCode.protocolError],
    ["SETTINGS of five bytes", frame(FrameType.settings, 0, 0, Buffer.alloc(5)), ErrorCode.frameSizeError],
    [
      "an acknowledgement with settings",
      frame(FrameType.settings, FrameFlag.ack, 0, Buffer.alloc(6)),
      ErrorCode.frameSizeError,
    ],
    ["PUSH_PROMISE", frame(FrameType.pushPromise, FrameFlag.endHeaders, 1, Buffer.alloc(4)), ErrorCode.protocolError],
    ["PING of seven bytes", frame(FrameType.ping, 0, 0, Buffer.alloc(7)), ErrorCode.frameSizeError],
    ["GOAWAY of seven bytes", frame(FrameType.goaway, 0, 0, Buffer.alloc(7)), ErrorCode.frameSizeError],
    ["WINDOW_UPDATE of five bytes", frame(FrameType.windowUpdate, 0, 1, Buffer.alloc(5)), ErrorCode.frameSizeError],
    ["CONTINUATION out of the blue", frame(FrameType.continuation, FrameFlag.endHeaders, 1), ErrorCode.protocolError],
    [
      "a frame within a header block",
      Buffer.concat([frame(FrameType.headers, 0, 1), frame(FrameType.ping, 0, 0, Buffer.alloc(8))]),
      ErrorCode.protocolError,
    ],
    [
      "CONTINUATION of another stream",
      Buffer.concat([frame(FrameType.headers, 0, 1), frame(FrameType.continuation, 0, 3)]),
      ErrorCode.protocolError,
    ],
    [
      "a header block that is too long",
      frame(FrameType.headers, FrameFlag.endHeaders, 1, Buffer.alloc(1_001)),
      ErrorCode.enhanceYourCalm,
    ],
  ])("%s", (_name, bytes, code) => {
    expect(codeOf(bytes)).toBe(code);
  });

  test("a connection that begins with something else", () => {
    expect(() => parse([frame(FrameType.ping, 0, 0, Buffer.alloc(8))])).toThrow(/not SETTINGS/);
    expect(() => parse([Buffer.from("GET / HTTP/1.1\r\n")], true)).toThrow(/preface/);
  });
});
