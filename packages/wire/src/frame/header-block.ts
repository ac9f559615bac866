import { ConnectionError, ErrorCode } from "./error-code.js";
import type { FrameLimits, FrameSink } from "./frame-parser.js";

/** A header block that came in pieces: HEADERS without END_HEADERS, then CONTINUATIONs (RFC 9113 §4.3, §6.10), within bounds. */
export class HeaderBlock {
  readonly #limits: FrameLimits;
  /** The stream whose block is incomplete; 0 between blocks. */
  streamId = 0;
  #flags = 0;
  #frames = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #length = 0;

  constructor(limits: FrameLimits) {
    this.#limits = limits;
  }

  begin(streamId: number, flags: number): void {
    this.streamId = streamId;
    this.#flags = flags;
    this.#frames = 0;
    this.#length = 0;
  }

  append(chunk: Buffer, start: number, end: number): void {
    const needed = this.#length + end - start;
    this.#frames += 1;
    if (needed > this.#limits.maxHeaderBlockBytes || this.#frames > this.#limits.maxContinuations + 1) {
      throw new ConnectionError(ErrorCode.enhanceYourCalm, "a header block is longer than allowed");
    }
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(256, needed * 2));
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    chunk.copy(this.#bytes, this.#length, start, end);
    this.#length = needed;
  }

  /** Hands the whole block over. */
  finish(sink: FrameSink): void {
    const { streamId } = this;
    const bytes = this.#bytes;
    this.streamId = 0;
    this.#bytes = Buffer.alloc(0);
    sink.headers(streamId, this.#flags, bytes, 0, this.#length);
  }
}
