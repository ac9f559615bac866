import type { Duplex } from "node:stream";
import type { BufferPool } from "../frame/buffer-pool.js";
import { type Batch, FrameWriter } from "../frame/frame-writer.js";
import type { Flushable, FlushQueue } from "./flush-queue.js";

/** Bytes handed to the socket and not yet taken by the system at which DATA waits in its streams instead. */
const socketHighWaterBytes = 128 * 1024;

/**
 * The one writer of a connection: frames gather in a {@link FrameWriter}, and go to the socket once a turn of the event loop, or as soon as a
 * chunk is full. While the system takes no more, DATA stays where it is, with its stream, so that back-pressure reaches who writes.
 *
 *   quiet ──request──> queued ──flush: fill, write──> quiet
 */
export class Outbound implements Flushable {
  readonly writer: FrameWriter;
  readonly #socket: Duplex;
  readonly #queue: FlushQueue;
  readonly #fill: () => void;
  readonly #onBacklog: () => void;
  #queued = false;
  #isOver = false;

  /** `fill` is called before each flush, to put what waits in streams into the writer; `backlog` when the system did not take all of it. */
  constructor(options: {
    readonly socket: Duplex;
    readonly pool: BufferPool;
    readonly queue: FlushQueue;
    readonly fill: () => void;
    readonly backlog: () => void;
  }) {
    this.#socket = options.socket;
    this.#queue = options.queue;
    this.#fill = options.fill;
    this.#onBacklog = options.backlog;
    this.writer = new FrameWriter(options.pool, () => this.#send());
  }

  /** Sees to it that what is written gets sent. */
  request(): void {
    if (this.#queued) return;
    this.#queued = true;
    this.#queue.add(this);
  }

  /** Bytes that the system has not taken yet. */
  get backlogBytes(): number {
    return this.#socket.writableLength + this.writer.pendingBytes;
  }

  /** Whether DATA has to wait. */
  get isFull(): boolean {
    return this.#socket.writableLength + this.writer.pendingBytes >= socketHighWaterBytes;
  }

  flush(): void {
    this.#queued = false;
    if (this.#isOver) return;
    this.#fill();
    this.#send();
  }

  /** Sends what is written, then ends the sending side of the socket. */
  end(): void {
    this.#send();
    this.#isOver = true;
    this.#socket.end();
  }

  /** From now on nothing is sent. */
  stop(): void {
    this.#isOver = true;
    if (this.writer.pendingBytes > 0) this.writer.release(this.writer.take());
  }

  #send(): void {
    if (this.writer.pendingBytes === 0) return;
    const batch = this.writer.take();
    if (this.#isOver) {
      this.writer.release(batch);
      return;
    }
    const [first] = batch.segments;
    if (batch.segments.length === 1 && first !== undefined) {
      this.#socket.write(first, () => this.writer.release(batch));
    } else {
      this.#sendMany(batch);
    }
    if (this.#socket.writableNeedDrain) this.#onBacklog();
  }

  /** One writev for all segments. */
  #sendMany(batch: Batch): void {
    const last = batch.segments.length - 1;
    this.#socket.cork();
    for (const [index, segment] of batch.segments.entries()) {
      if (index === last) this.#socket.write(segment, () => this.writer.release(batch));
      else this.#socket.write(segment);
    }
    this.#socket.uncork();
  }
}
