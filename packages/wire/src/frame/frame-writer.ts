import type { BufferPool } from "./buffer-pool.js";
import { chunkBytes } from "./buffer-pool.js";
import { FrameFlag, FrameType, frameHeaderBytes } from "./frame-type.js";

/** From this length on a payload is sent from where it lies instead of being copied. */
export const referenceBytes = 4_096;

const emptyChunk: Buffer = Buffer.alloc(0);

/** What is to be written to the socket in order, and the chunks to be given back to the pool once it is. */
export interface Batch {
  readonly segments: readonly Uint8Array[];
  readonly bytes: number;
  readonly chunks: readonly Buffer[];
}

/**
 * Writes frames one after the other into a chunk (RFC 9113 §4.1). Whoever writes reserves room first and then uses `chunk` and `at`
 * directly: that is the hot path. Large payloads go by reference between two parts of the chunk.
 */
export class FrameWriter {
  /** Where the next byte goes: `chunk[at]`. Valid until the next call of `reserve`, `reference` or `take`. */
  chunk: Buffer = emptyChunk;
  at = 0;
  /** Changes whenever what was written can no longer be changed: it has been taken. */
  generation = 0;
  readonly #pool: BufferPool;
  readonly #onFull: () => void;
  #from = 0;
  #segments: Uint8Array[] = [];
  #segmentBytes = 0;
  #chunks: Buffer[] = [];

  /** `onFull` is told when a chunk is full; it takes the batch and sends it. */
  constructor(pool: BufferPool, onFull: () => void) {
    this.#pool = pool;
    this.#onFull = onFull;
  }

  /** Bytes written and not yet taken. */
  get pendingBytes(): number {
    return this.#segmentBytes + this.at - this.#from;
  }

  /** What is being filled, for who encodes a message in place. */
  get bytes(): Uint8Array {
    return this.chunk;
  }

  get position(): number {
    return this.at;
  }

  set position(at: number) {
    this.at = at;
  }

  /** A larger chunk with the same beginning: offsets into the one before stay right. */
  grow(used: number, count: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(used + count, this.chunk.length * 2));
    this.chunk.copy(grown, 0, 0, used);
    this.chunk = grown;
    this.#chunks.push(grown);
  }

  /** Makes room for `bytes` in one piece. */
  reserve(bytes: number): void {
    if (this.chunk.length - this.at >= bytes) return;
    if (this.pendingBytes > 0) this.#onFull();
    if (this.chunk.length - this.at >= bytes) return;
    this.#seal();
    this.chunk = bytes <= chunkBytes ? this.#pool.take() : Buffer.allocUnsafeSlow(bytes);
    this.#chunks.push(this.chunk);
    this.at = 0;
    this.#from = 0;
  }

  /** The nine bytes before a payload; room for them must have been reserved. */
  frameHeader(length: number, type: number, flags: number, streamId: number): void {
    const { chunk } = this;
    const at = this.at;
    chunk[at] = length >>> 16;
    chunk[at + 1] = length >>> 8;
    chunk[at + 2] = length;
    chunk[at + 3] = type;
    chunk[at + 4] = flags;
    chunk[at + 5] = streamId >>> 24;
    chunk[at + 6] = streamId >>> 16;
    chunk[at + 7] = streamId >>> 8;
    chunk[at + 8] = streamId;
    this.at = at + frameHeaderBytes;
  }

  /** Four bytes, big-endian; room must have been reserved. */
  uint32(value: number): void {
    const { chunk } = this;
    const at = this.at;
    chunk[at] = value >>> 24;
    chunk[at + 1] = value >>> 16;
    chunk[at + 2] = value >>> 8;
    chunk[at + 3] = value;
    this.at = at + 4;
  }

  /** Bytes that fit into the room reserved. */
  copy(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length < 32) {
      const { chunk } = this;
      const at = this.at;
      for (let i = 0; i < length; i += 1) chunk[at + i] = bytes[i] ?? 0;
    } else {
      this.chunk.set(bytes, this.at);
    }
    this.at += length;
  }

  /** Payload of any length: short ones are copied, long ones referred to and not to be changed until they are sent. */
  payload(bytes: Uint8Array): void {
    if (bytes.length < referenceBytes) {
      this.reserve(bytes.length);
      this.copy(bytes);
      return;
    }
    this.#seal();
    this.#segments.push(bytes);
    this.#segmentBytes += bytes.length;
  }

  /** A frame whose payload is a whole number of bytes known here: SETTINGS, PING and the like. */
  frame(type: FrameType, flags: number, streamId: number, payload: Uint8Array): void {
    this.reserve(frameHeaderBytes + payload.length);
    this.frameHeader(payload.length, type, flags, streamId);
    this.copy(payload);
  }

  settingsAck(): void {
    this.reserve(frameHeaderBytes);
    this.frameHeader(0, FrameType.settings, FrameFlag.ack, 0);
  }

  rstStream(streamId: number, errorCode: number): void {
    this.reserve(frameHeaderBytes + 4);
    this.frameHeader(4, FrameType.rstStream, FrameFlag.none, streamId);
    this.uint32(errorCode);
  }

  windowUpdate(streamId: number, increment: number): void {
    this.reserve(frameHeaderBytes + 4);
    this.frameHeader(4, FrameType.windowUpdate, FrameFlag.none, streamId);
    this.uint32(increment);
  }

  goaway(lastStreamId: number, errorCode: number, debugData: Uint8Array): void {
    this.reserve(frameHeaderBytes + 8 + debugData.length);
    this.frameHeader(8 + debugData.length, FrameType.goaway, FrameFlag.none, 0);
    this.uint32(lastStreamId);
    this.uint32(errorCode);
    this.copy(debugData);
  }

  /** Hands over everything written so far, to be sent. */
  take(): Batch {
    this.#seal();
    const batch = { segments: this.#segments, bytes: this.#segmentBytes, chunks: this.#chunks };
    this.#segments = [];
    this.#segmentBytes = 0;
    this.#chunks = [];
    this.chunk = emptyChunk;
    this.at = 0;
    this.#from = 0;
    this.generation += 1;
    return batch;
  }

  /** Gives the chunks of a batch back once its bytes are written. */
  release(batch: Batch): void {
    for (const chunk of batch.chunks) this.#pool.give(chunk);
  }

  #seal(): void {
    if (this.at === this.#from) return;
    this.#segments.push(this.chunk.subarray(this.#from, this.at));
    this.#segmentBytes += this.at - this.#from;
    this.#from = this.at;
  }
}
