import { ConnectionError, ErrorCode } from "./error-code.js";
import { clientPreface, FrameFlag, FrameType, frameHeaderBytes, maxWindowBytes } from "./frame-type.js";
import { HeaderBlock } from "./header-block.js";

const emptyBuffer: Buffer = Buffer.alloc(0);

/**
 * Takes the frames that a {@link FrameParser} finds. Bytes are given as a range of the chunk and are valid during the call only.
 * A {@link ConnectionError} that it throws goes through the parser to who fed it.
 */
export interface FrameSink {
  /** A DATA frame begins; `length` is its whole payload, padding included, as flow control counts it. */
  dataFrame(streamId: number, flags: number, length: number): void;
  /** A part of its data; a frame may come in several. */
  dataBytes(chunk: Buffer, start: number, end: number): void;
  /** The last byte of the DATA frame has come. */
  dataEnd(): void;
  /** A whole header block: HEADERS and its CONTINUATIONs. */
  headers(streamId: number, flags: number, chunk: Buffer, start: number, end: number): void;
  /** Well-formed, and otherwise ignored (RFC 9113 §5.3.2). */
  priority(): void;
  rstStream(streamId: number, errorCode: number): void;
  settings(chunk: Buffer, start: number, end: number): void;
  settingsAck(): void;
  ping(isAck: boolean, chunk: Buffer, start: number): void;
  goaway(lastStreamId: number, errorCode: number, chunk: Buffer, start: number, end: number): void;
  windowUpdate(streamId: number, increment: number): void;
  /** A frame of a type that RFC 9113 does not know, which is ignored. */
  unknownFrame(): void;
}

/** Bounds of what a parser takes before it gives up the connection. */
export interface FrameLimits {
  /** Longest payload of a frame: what this side has said in SETTINGS_MAX_FRAME_SIZE. */
  readonly maxFrameBytes: number;
  /** Longest header block, compressed, over all its frames. */
  readonly maxHeaderBlockBytes: number;
  /** Most CONTINUATION frames of one header block. */
  readonly maxContinuations: number;
}

/**
 * Cuts a byte stream into frames (RFC 9113 §4.1, §6), in one pass over the chunks of the socket: no object and no copy per frame.
 * What is cut off by the end of a chunk is held until the rest comes; DATA is not held but passed on as it comes.
 *
 *   preface ──24 bytes match──> first ──SETTINGS──> between ⇄ inside a DATA frame
 *   (server only)                                      └──HEADERS without END_HEADERS──> inside a header block ──END_HEADERS──> between
 */
export class FrameParser {
  readonly #sink: FrameSink;
  readonly #limits: FrameLimits;
  readonly #block: HeaderBlock;
  #prefaceLeft: number;
  #first = true;
  /** Bytes of an incomplete frame from earlier chunks. */
  #held: Buffer = emptyBuffer;
  #heldBytes = 0;
  /** Of the DATA frame that is being passed on: bytes of data, and of padding after them. */
  #dataLeft = 0;
  #paddingLeft = 0;
  #insideData = false;

  constructor(sink: FrameSink, limits: FrameLimits, options: { readonly expectPreface: boolean }) {
    this.#sink = sink;
    this.#limits = limits;
    this.#block = new HeaderBlock(limits);
    this.#prefaceLeft = options.expectPreface ? clientPreface.length : 0;
  }

  /** Whether the peer has shown by its first bytes that it speaks HTTP/2. */
  get started(): boolean {
    return !this.#first;
  }

  /** Takes the next bytes. Throws {@link ConnectionError}; then no more bytes may be given. */
  receive(chunk: Buffer): void {
    let at = 0;
    const { length } = chunk;
    if (this.#prefaceLeft > 0) at = this.#preface(chunk);
    while (at < length) {
      if (this.#insideData) {
        at = this.#data(chunk, at);
        continue;
      }
      if (this.#heldBytes > 0) {
        at = this.#resume(chunk, at);
        continue;
      }
      const next = this.#frame(chunk, at, length);
      if (next === at) {
        this.#hold(chunk, at, length);
        return;
      }
      at = next;
    }
  }

  #preface(chunk: Buffer): number {
    const take = Math.min(this.#prefaceLeft, chunk.length);
    const from = clientPreface.length - this.#prefaceLeft;
    if (clientPreface.compare(chunk, 0, take, from, from + take) !== 0) {
      throw new ConnectionError(ErrorCode.protocolError, "the connection does not begin with the preface of HTTP/2");
    }
    this.#prefaceLeft -= take;
    return take;
  }

  /** Parses one frame that begins at `at`. Returns where it ended, or `at` when the chunk does not hold enough of it. */
  #frame(chunk: Buffer, at: number, end: number): number {
    if (end - at < frameHeaderBytes) return at;
    const length = ((chunk[at] ?? 0) << 16) | ((chunk[at + 1] ?? 0) << 8) | (chunk[at + 2] ?? 0);
    const type = chunk[at + 3] ?? 0;
    const flags = chunk[at + 4] ?? 0;
    const streamId =
      (((chunk[at + 5] ?? 0) & 0x7f) << 24) |
      ((chunk[at + 6] ?? 0) << 16) |
      ((chunk[at + 7] ?? 0) << 8) |
      (chunk[at + 8] ?? 0);
    if (length > this.#limits.maxFrameBytes) {
      throw new ConnectionError(ErrorCode.frameSizeError, `a frame of ${length} bytes is longer than was allowed`);
    }
    this.#checkOrder(type, flags, streamId);
    const start = at + frameHeaderBytes;
    if (type === FrameType.data) {
      const padded = (flags & FrameFlag.padded) !== 0;
      if (padded && length > 0 && end === start) return at;
      return this.#beginData(chunk, start, { streamId, flags, length, padded });
    }
    if (end - start < length) return at;
    this.#control(chunk, start, start + length, type, flags, streamId);
    return start + length;
  }

  #checkOrder(type: number, flags: number, streamId: number): void {
    if (this.#first) {
      if (type !== FrameType.settings || (flags & FrameFlag.ack) !== 0) {
        throw new ConnectionError(ErrorCode.protocolError, "the first frame is not SETTINGS");
      }
      this.#first = false;
    }
    if (this.#block.streamId !== 0 && (type !== FrameType.continuation || streamId !== this.#block.streamId)) {
      throw new ConnectionError(ErrorCode.protocolError, "a header block is interrupted by another frame");
    }
  }

  #beginData(
    chunk: Buffer,
    start: number,
    frame: { readonly streamId: number; readonly flags: number; readonly length: number; readonly padded: boolean },
  ): number {
    const { streamId, flags, length, padded } = frame;
    if (streamId === 0) throw new ConnectionError(ErrorCode.protocolError, "DATA on stream 0");
    let from = start;
    let padding = 0;
    if (padded) {
      padding = chunk[from] ?? 0;
      if (length === 0 || padding >= length) {
        throw new ConnectionError(ErrorCode.protocolError, "padding is as long as its frame");
      }
      from += 1;
    }
    this.#sink.dataFrame(streamId, flags, length);
    this.#dataLeft = length - padding - (padded ? 1 : 0);
    this.#paddingLeft = padding;
    this.#insideData = true;
    return this.#data(chunk, from);
  }

  #data(chunk: Buffer, at: number): number {
    const { length } = chunk;
    if (this.#dataLeft > 0 && at < length) {
      const end = Math.min(length, at + this.#dataLeft);
      this.#dataLeft -= end - at;
      this.#sink.dataBytes(chunk, at, end);
      at = end;
    }
    if (this.#dataLeft === 0 && this.#paddingLeft > 0) {
      const skipped = Math.min(this.#paddingLeft, length - at);
      this.#paddingLeft -= skipped;
      at += skipped;
    }
    if (this.#dataLeft === 0 && this.#paddingLeft === 0) {
      this.#insideData = false;
      this.#sink.dataEnd();
    }
    return at;
  }

  #control(chunk: Buffer, start: number, end: number, type: number, flags: number, streamId: number): void {
    switch (type) {
      case FrameType.headers:
        this.#headers(chunk, start, end, flags, streamId);
        break;
      case FrameType.continuation:
        if (this.#block.streamId === 0) {
          throw new ConnectionError(ErrorCode.protocolError, "CONTINUATION without a header block");
        }
        this.#block.append(chunk, start, end);
        if ((flags & FrameFlag.endHeaders) !== 0) this.#block.finish(this.#sink);
        break;
      case FrameType.priority:
        requireStream(streamId, "PRIORITY");
        requireLength(end - start, 5, "PRIORITY");
        forbidOwnParent(chunk, start, streamId);
        this.#sink.priority();
        break;
      case FrameType.rstStream:
        requireStream(streamId, "RST_STREAM");
        requireLength(end - start, 4, "RST_STREAM");
        this.#sink.rstStream(streamId, chunk.readUInt32BE(start));
        break;
      case FrameType.settings:
        this.#settings(chunk, start, end, flags, streamId);
        break;
      case FrameType.pushPromise:
        throw new ConnectionError(ErrorCode.protocolError, "PUSH_PROMISE, which this side does not take");
      case FrameType.ping:
        requireConnection(streamId, "PING");
        requireLength(end - start, 8, "PING");
        this.#sink.ping((flags & FrameFlag.ack) !== 0, chunk, start);
        break;
      case FrameType.goaway:
        requireConnection(streamId, "GOAWAY");
        if (end - start < 8) throw new ConnectionError(ErrorCode.frameSizeError, "GOAWAY is too short");
        this.#sink.goaway(
          chunk.readUInt32BE(start) & 0x7fff_ffff,
          chunk.readUInt32BE(start + 4),
          chunk,
          start + 8,
          end,
        );
        break;
      case FrameType.windowUpdate:
        requireLength(end - start, 4, "WINDOW_UPDATE");
        this.#sink.windowUpdate(streamId, chunk.readUInt32BE(start) & maxWindowBytes);
        break;
      default:
        this.#sink.unknownFrame();
    }
  }

  #headers(chunk: Buffer, start: number, end: number, flags: number, streamId: number): void {
    requireStream(streamId, "HEADERS");
    if ((flags & FrameFlag.padded) !== 0) {
      if (start === end) throw new ConnectionError(ErrorCode.frameSizeError, "HEADERS is too short for its padding");
      end -= chunk[start] ?? 0;
      start += 1;
    }
    if ((flags & FrameFlag.priority) !== 0) {
      if (end - start < 5) throw new ConnectionError(ErrorCode.frameSizeError, "HEADERS is too short for its priority");
      forbidOwnParent(chunk, start, streamId);
      start += 5;
    }
    if (start > end) throw new ConnectionError(ErrorCode.protocolError, "padding is longer than its frame");
    if ((flags & FrameFlag.endHeaders) !== 0) {
      if (end - start > this.#limits.maxHeaderBlockBytes) {
        throw new ConnectionError(ErrorCode.enhanceYourCalm, "a header block is longer than allowed");
      }
      this.#sink.headers(streamId, flags, chunk, start, end);
    } else {
      this.#block.begin(streamId, flags);
      this.#block.append(chunk, start, end);
    }
  }

  #settings(chunk: Buffer, start: number, end: number, flags: number, streamId: number): void {
    requireConnection(streamId, "SETTINGS");
    if ((flags & FrameFlag.ack) !== 0) {
      requireLength(end - start, 0, "SETTINGS acknowledgement");
      this.#sink.settingsAck();
      return;
    }
    if ((end - start) % 6 !== 0) throw new ConnectionError(ErrorCode.frameSizeError, "SETTINGS of a broken length");
    this.#sink.settings(chunk, start, end);
  }

  /** Keeps what is there of a frame; the buffer grows with what has come, not with the length that was declared. */
  #hold(chunk: Buffer, at: number, end: number): void {
    const needed = this.#heldBytes + end - at;
    if (needed > this.#held.length) {
      const grown = Buffer.allocUnsafe(Math.max(64, needed * 2));
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    chunk.copy(this.#held, this.#heldBytes, at, end);
    this.#heldBytes = needed;
  }

  /** Completes the held frame from the chunk as far as it goes; returns where it went on to. */
  #resume(chunk: Buffer, at: number): number {
    const target =
      this.#heldBytes < frameHeaderBytes
        ? frameHeaderBytes
        : frameHeaderBytes + (this.#held[3] === FrameType.data ? 1 : this.#held.readUIntBE(0, 3));
    const end = Math.min(chunk.length, at + target - this.#heldBytes);
    this.#hold(chunk, at, end);
    const held = this.#held.subarray(0, this.#heldBytes);
    const next = this.#frame(held, 0, held.length);
    if (next > 0) {
      this.#heldBytes = 0;
      this.#held = emptyBuffer;
    }
    return end;
  }
}

function requireStream(streamId: number, frame: string): void {
  if (streamId === 0) throw new ConnectionError(ErrorCode.protocolError, `${frame} on stream 0`);
}

/** A stream that depends on itself was a stream error (RFC 7540 §5.3.1), which may be taken for one of the connection. */
function forbidOwnParent(chunk: Buffer, start: number, streamId: number): void {
  if ((chunk.readUInt32BE(start) & 0x7fff_ffff) !== streamId) return;
  throw new ConnectionError(ErrorCode.protocolError, "a stream depends on itself");
}

function requireConnection(streamId: number, frame: string): void {
  if (streamId !== 0) throw new ConnectionError(ErrorCode.protocolError, `${frame} on stream ${streamId}`);
}

function requireLength(actual: number, expected: number, frame: string): void {
  if (actual !== expected) throw new ConnectionError(ErrorCode.frameSizeError, `${frame} of ${actual} bytes`);
}
