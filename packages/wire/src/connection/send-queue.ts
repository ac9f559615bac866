import { FrameFlag, FrameType, frameHeaderBytes } from "../frame/frame-type.js";
import { type Http2Stream, highWaterBytes } from "../stream/stream.js";
import type { Http2Connection } from "./connection.js";
import type { Outbound } from "./outbound.js";

/**
 * DATA that could not be sent at once. Streams that have some and a window for it stand in a round; each turn sends one frame of one stream, so that a
 * long message does not hold up the others, until the connection's window is used up or the socket takes no more.
 *
 *   enqueue ──> in its stream ──window──> in the round ──pump──> sent ──below the mark──> writable
 */
export class SendQueue {
  readonly #connection: Http2Connection;
  readonly #outbound: Outbound;
  readonly #round: Http2Stream[] = [];

  constructor(connection: Http2Connection, outbound: Outbound) {
    this.#connection = connection;
    this.#outbound = outbound;
  }

  get hasWork(): boolean {
    return this.#round.length > 0;
  }

  enqueue(stream: Http2Stream, first: Uint8Array, second: Uint8Array | undefined): boolean {
    stream.queue.push(first);
    stream.queuedBytes += first.length;
    if (second !== undefined && second.length > 0) {
      stream.queue.push(second);
      stream.queuedBytes += second.length;
    }
    this.schedule(stream);
    stream.isBlocked = stream.queuedBytes >= highWaterBytes;
    return !stream.isBlocked;
  }

  schedule(stream: Http2Stream): void {
    if (stream.isScheduled || stream.id === 0) return;
    stream.isScheduled = true;
    this.#round.push(stream);
  }

  /** Writes frames as far as windows and socket allow. */
  pump(): void {
    const connection = this.#connection;
    while (this.#round.length > 0 && !this.#outbound.isFull) {
      const stream = this.#round.shift();
      if (stream === undefined) return;
      stream.isScheduled = false;
      if (stream.isClosed) continue;
      if (stream.queuedBytes > 0) {
        if (connection.sendWindow <= 0) {
          stream.isScheduled = true;
          this.#round.unshift(stream);
          return;
        }
        if (stream.sendWindow <= 0) continue;
        this.#sendFrame(stream);
      }
      if (stream.queuedBytes > 0) this.schedule(stream);
      else if (stream.ending !== undefined && stream.isLocalOpen) connection.finishSending(stream, stream.ending);
      if (stream.isBlocked && stream.queuedBytes < highWaterBytes) {
        stream.isBlocked = false;
        stream.receiver.writable();
      }
    }
  }

  #sendFrame(stream: Http2Stream): void {
    const connection = this.#connection;
    const { writer } = connection;
    const bytes = Math.min(stream.queuedBytes, stream.sendWindow, connection.sendWindow, connection.peer.maxFrameSize);
    writer.reserve(frameHeaderBytes);
    const isLast = bytes === stream.queuedBytes && stream.ending?.t === "data";
    writer.frameHeader(bytes, FrameType.data, isLast ? FrameFlag.endStream : FrameFlag.none, stream.id);
    this.#movePieces(stream, bytes);
    stream.lastGeneration = -1;
    stream.queuedBytes -= bytes;
    connection.sentData(stream, bytes);
    if (isLast) connection.sentEnd(stream);
  }

  #movePieces(stream: Http2Stream, bytes: number): void {
    const { writer } = this.#connection;
    let left = bytes;
    while (left > 0) {
      const piece = stream.queue[stream.queueAt];
      if (piece === undefined) return;
      const available = piece.length - stream.firstOffset;
      const take = Math.min(available, left);
      writer.payload(take === piece.length ? piece : piece.subarray(stream.firstOffset, stream.firstOffset + take));
      left -= take;
      if (take < available) {
        stream.firstOffset += take;
        return;
      }
      stream.firstOffset = 0;
      stream.queueAt += 1;
    }
    if (stream.queueAt === stream.queue.length) {
      stream.queue = [];
      stream.queueAt = 0;
    } else if (stream.queueAt > 64) {
      stream.queue = stream.queue.slice(stream.queueAt);
      stream.queueAt = 0;
    }
  }
}
