import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { eventually } from "@weft/foundation/testing";
import { clientPreface, FrameFlag, FrameType } from "../frame/frame-type.js";
import { encodeSettings } from "../frame/settings.js";
import { HpackEncoder, maxUpdateBytes } from "../hpack/encoder.js";
import { maxFieldBytes } from "../hpack/header-template.js";
import { ceilingMs } from "./fixture.js";
import { startTcpServer, type TcpServer } from "./sockets.js";

/** One frame as it came. */
export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** The bytes of one frame; nothing is checked. */
export function frame(type: number, flags: number, streamId: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId >>> 0, 5);
  return Buffer.concat([header, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** The head of a gRPC request, without metadata. */
export function grpcHead(path: string): (readonly [name: string, value: string])[] {
  return [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "test"],
    ["te", "trailers"],
    ["content-type", "application/grpc"],
  ];
}

/** The bytes of one gRPC message. */
export function grpcMessage(message: Uint8Array, flag = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** A peer that speaks HTTP/2 frame by frame, well or badly, as the test says. */
export class RawPeer implements AsyncDisposable {
  readonly socket: Socket;
  readonly frames: RawFrame[] = [];
  /** Whether the other side has closed, or reset, the connection. */
  isClosed = false;
  #rest: Buffer = Buffer.alloc(0);
  #skip: number;
  readonly #encoder = new HpackEncoder();

  constructor(socket: Socket, options: { readonly expectPreface?: boolean } = {}) {
    this.socket = socket;
    this.#skip = options.expectPreface === true ? clientPreface.length : 0;
    socket.on("error", () => {});
    socket.on("close", () => {
      this.isClosed = true;
    });
    socket.on("end", () => {
      this.isClosed = true;
    });
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
  }

  /** Connects, and sends preface and SETTINGS. */
  static async connect(port: number, settings: readonly (readonly [number, number])[] = []): Promise<RawPeer> {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    const peer = new RawPeer(socket);
    await once(socket, "connect");
    peer.send(clientPreface, frame(FrameType.settings, FrameFlag.none, 0, encodeSettings(settings)));
    return peer;
  }

  send(...bytes: readonly Uint8Array[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(bytes));
  }

  /** A header block; blocks must be sent in the order in which they were made. */
  block(fields: readonly (readonly [name: string, value: string])[]): Buffer {
    const bound = fields.reduce((sum, [name, value]) => sum + maxFieldBytes(name, value), maxUpdateBytes);
    const into = Buffer.alloc(bound);
    let at = this.#encoder.begin(into, 0);
    for (const [name, value] of fields) at = this.#encoder.field(into, at, name, value);
    return into.subarray(0, at);
  }

  /** HEADERS with a whole block. */
  headers(streamId: number, fields: readonly (readonly [string, string])[], flags: number = FrameFlag.none): Buffer {
    return frame(FrameType.headers, FrameFlag.endHeaders | flags, streamId, this.block(fields));
  }

  /** Waits for a frame that fits. */
  async until(accept: (frame: RawFrame) => boolean, what: string): Promise<RawFrame> {
    let found: RawFrame | undefined;
    await eventually(
      () => {
        found = this.frames.find(accept);
        return found !== undefined;
      },
      { ceilingMs, what },
    );
    if (found === undefined) throw new Error(what);
    return found;
  }

  /** Waits for GOAWAY with an error, and gives its code. */
  async goawayCode(): Promise<number> {
    const found = await this.until(
      ({ type, payload }) => type === FrameType.goaway && payload.readUInt32BE(4) !== 0,
      "GOAWAY with an error",
    );
    return found.payload.readUInt32BE(4);
  }

  /** Waits until the other side has closed the connection. */
  async closed(): Promise<void> {
    await eventually(() => this.isClosed, { ceilingMs, what: "the other side closing the connection" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    if (this.#skip > 0) {
      if (this.#rest.length < this.#skip) return;
      this.#rest = this.#rest.subarray(this.#skip);
      this.#skip = 0;
    }
    while (this.#rest.length >= 9) {
      const length = this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < 9 + length) return;
      this.frames.push({
        type: this.#rest[3] ?? 0,
        flags: this.#rest[4] ?? 0,
        streamId: this.#rest.readUInt32BE(5) & 0x7fff_ffff,
        payload: this.#rest.subarray(9, 9 + length),
      });
      this.#rest = this.#rest.subarray(9 + length);
    }
  }
}

/** A server whose connections a test scripts; it greets each with SETTINGS. */
export function startRawServer(serve: (peer: RawPeer) => void): Promise<TcpServer> {
  return startTcpServer((socket) => {
    const peer = new RawPeer(socket, { expectPreface: true });
    peer.send(frame(FrameType.settings, FrameFlag.none, 0));
    serve(peer);
  });
}
