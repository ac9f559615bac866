import { type Status, StatusCode } from "../status.js";
import type { Http2Stream } from "../stream/stream.js";
import { decompress, type Encoding, MessageFlag } from "./compression.js";

/** Who gets the messages of a stream. */
export interface MessageSink {
  message(bytes: Uint8Array): void;
  /** The peer has ended the stream, and every message before that is delivered. */
  messagesEnded(): void;
  /** What came is no message, or too long a one. Nothing more is delivered. */
  messagesBroken(status: Status): void;
}

const prefixBytes = 5;
/** First buffer of a message that came in part; it grows fourfold as more comes, and so never by the declared length alone. */
const firstBodyBytes = 16 * 1024;

/**
 * Cuts the body of a stream into length-prefixed messages (gRPC over HTTP/2, "Length-Prefixed-Message"), as many as the reader has granted.
 * What nobody has granted stays as raw bytes and holds the stream's window; what is wanted gives its bytes back as it comes.
 *
 *   DATA ──granted──> prefix ──whole in the chunk──> message
 *     │                  └──in part──> body, grows ──> message
 *     └──not granted──> held ──read(n)──> as if it came now
 */
export class MessageReader {
  readonly #stream: Http2Stream;
  readonly #sink: MessageSink;
  readonly #maxMessageBytes: number;
  encoding: Encoding = "identity";
  #granted = 0;
  #held: Buffer | undefined;
  #heldFrom = 0;
  #heldTo = 0;
  /** Bytes of an incomplete prefix, of which `#prefixAt` are there. */
  #prefix: Buffer | undefined;
  #prefixAt = 0;
  #body: Buffer | undefined;
  #bodyAt = 0;
  #bodyBytes = 0;
  #bodyFlag = 0;
  #isParsing = false;
  #isEnded = false;
  #isOver = false;

  constructor(stream: Http2Stream, sink: MessageSink, maxMessageBytes: number) {
    this.#stream = stream;
    this.#sink = sink;
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** Grants `count` more messages. */
  read(count: number): void {
    this.#granted += count;
    if (!this.#isParsing && this.#held !== undefined) this.#parseHeld();
  }

  /** The next bytes of the body. */
  push(chunk: Buffer, start: number, end: number): void {
    if (this.#isOver) {
      this.#stream.consume(end - start);
      return;
    }
    if (this.#held !== undefined || this.#granted === 0 || this.#isParsing) {
      this.#hold(chunk, start, end);
      return;
    }
    const used = this.#parse(chunk, start, end);
    if (used > start) this.#stream.consume(used - start);
    if (used < end) this.#hold(chunk, used, end);
  }

  /** No more bytes come. */
  end(): void {
    this.#isEnded = true;
    this.#checkEnd();
  }

  /** Forgets everything; nothing is delivered any more. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#held !== undefined) this.#stream.release(this.#heldTo - this.#heldFrom);
    this.#held = undefined;
    this.#body = undefined;
  }

  /** Parses until the chunk or the grants are used up; returns how far it came. */
  #parse(chunk: Buffer, start: number, end: number): number {
    let at = start;
    this.#isParsing = true;
    while (at < end && this.#granted > 0 && !this.#isOver) {
      if (this.#body !== undefined) at = this.#fillBody(this.#body, chunk, at, end);
      else if (this.#prefixAt > 0 || end - at < prefixBytes) at = this.#fillPrefix(chunk, at, end);
      else at = this.#begin(chunk, at, end);
    }
    this.#isParsing = false;
    return this.#isOver ? end : at;
  }

  /** A message whose prefix is whole in the chunk. */
  #begin(chunk: Buffer, at: number, end: number): number {
    const flag = chunk[at] ?? 0;
    const length = chunk.readUInt32BE(at + 1);
    const from = at + prefixBytes;
    if (!this.#check(flag, length)) return end;
    if (end - from < length) return this.#beginBody(flag, length, chunk, from, end);
    this.#deliver(flag, new Uint8Array(chunk.buffer, chunk.byteOffset + from, length));
    return from + length;
  }

  #fillPrefix(chunk: Buffer, at: number, end: number): number {
    this.#prefix ??= Buffer.alloc(prefixBytes);
    const take = Math.min(prefixBytes - this.#prefixAt, end - at);
    chunk.copy(this.#prefix, this.#prefixAt, at, at + take);
    this.#prefixAt += take;
    if (this.#prefixAt < prefixBytes) return at + take;
    this.#prefixAt = 0;
    const flag = this.#prefix[0] ?? 0;
    const length = this.#prefix.readUInt32BE(1);
    if (!this.#check(flag, length)) return end;
    if (length > 0) return this.#beginBody(flag, length, chunk, at + take, end);
    this.#deliver(flag, new Uint8Array(0));
    return at + take;
  }

  #beginBody(flag: number, length: number, chunk: Buffer, at: number, end: number): number {
    const body = Buffer.allocUnsafeSlow(Math.min(length, Math.max(firstBodyBytes, end - at)));
    this.#body = body;
    this.#bodyFlag = flag;
    this.#bodyBytes = length;
    this.#bodyAt = 0;
    return this.#fillBody(body, chunk, at, end);
  }

  #fillBody(body: Buffer, chunk: Buffer, at: number, end: number): number {
    const take = Math.min(this.#bodyBytes - this.#bodyAt, end - at);
    const needed = this.#bodyAt + take;
    if (needed > body.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(this.#bodyBytes, needed * 4));
      body.copy(grown, 0, 0, this.#bodyAt);
      this.#body = grown;
      body = grown;
    }
    chunk.copy(body, this.#bodyAt, at, at + take);
    this.#bodyAt = needed;
    if (needed === this.#bodyBytes) {
      this.#body = undefined;
      this.#deliver(this.#bodyFlag, new Uint8Array(body.buffer, body.byteOffset, needed));
    }
    return at + take;
  }

  #check(flag: number, length: number): boolean {
    if (flag > 1 || (flag === MessageFlag.compressed && this.encoding === "identity")) {
      this.#break(StatusCode.internal, "a message is compressed in a way that was not agreed");
      return false;
    }
    if (length > this.#maxMessageBytes) {
      this.#break(
        StatusCode.resourceExhausted,
        `a message of ${length} bytes is longer than the ${this.#maxMessageBytes} allowed`,
      );
      return false;
    }
    return true;
  }

  #deliver(flag: number, bytes: Uint8Array): void {
    this.#granted -= 1;
    if (flag === MessageFlag.plain) {
      this.#sink.message(bytes);
      return;
    }
    const message = decompress(bytes, this.#maxMessageBytes);
    if (message.ok) this.#sink.message(message.value);
    else if (message.error === "broken") this.#break(StatusCode.internal, "a compressed message is broken");
    else this.#break(StatusCode.resourceExhausted, "a message is longer than allowed when decompressed");
  }

  #break(code: StatusCode, message: string): void {
    this.close();
    this.#sink.messagesBroken({ code, message });
  }

  #hold(chunk: Buffer, start: number, end: number): void {
    const bytes = end - start;
    this.#stream.hold(bytes);
    const before = this.#heldTo - this.#heldFrom;
    if (this.#held === undefined || this.#held.length - this.#heldTo < bytes) {
      const grown = Buffer.allocUnsafeSlow(Math.max(256, (before + bytes) * 2));
      this.#held?.copy(grown, 0, this.#heldFrom, this.#heldTo);
      this.#held = grown;
      this.#heldFrom = 0;
      this.#heldTo = before;
    }
    chunk.copy(this.#held, this.#heldTo, start, end);
    this.#heldTo += bytes;
  }

  #parseHeld(): void {
    while (this.#held !== undefined && this.#granted > 0 && !this.#isOver) {
      const held = this.#held;
      const from = this.#heldFrom;
      const to = this.#heldTo;
      const used = this.#parse(held, from, to);
      if (this.#isOver) return;
      this.#heldFrom = used;
      this.#stream.release(used - from);
      this.#stream.consume(used - from);
      // Bytes may have come meanwhile, behind what was parsed; delivered messages may lie in the buffer, so it is not written to again.
      if (this.#heldFrom === this.#heldTo) this.#held = undefined;
    }
    this.#checkEnd();
  }

  #checkEnd(): void {
    if (!this.#isEnded || this.#isOver || this.#isParsing) return;
    if (this.#held !== undefined && this.#holdsMessage(this.#held)) return;
    if (this.#held !== undefined || this.#prefixAt > 0 || this.#body !== undefined) {
      this.#break(StatusCode.internal, "the stream ended within a message");
      return;
    }
    this.close();
    this.#sink.messagesEnded();
  }

  /** Whether what is held makes a whole message, so that the end has to wait for somebody to want it. */
  #holdsMessage(held: Buffer): boolean {
    const bytes = this.#heldTo - this.#heldFrom;
    if (this.#body !== undefined) return bytes >= this.#bodyBytes - this.#bodyAt;
    if (this.#prefixAt > 0) return true;
    return bytes >= prefixBytes && bytes - prefixBytes >= held.readUInt32BE(this.#heldFrom + 1);
  }
}
