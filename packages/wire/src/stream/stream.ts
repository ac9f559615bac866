import type { Http2Connection } from "../connection/connection.js";
import type { WheelEntry } from "../connection/timer-wheel.js";
import type { ErrorCode } from "../frame/error-code.js";
import type { FieldSection } from "../hpack/field-section.js";
import type { HeaderTemplate } from "../hpack/header-template.js";
import type { MessageEncoder } from "../transport.js";

/**
 * States of a stream (RFC 9113 §5.1), without those of server push.
 *
 *   idle ──HEADERS──> open ──END_STREAM sent──> halfClosedLocal ──END_STREAM received──> closed
 *                      │ └──END_STREAM received──> halfClosedRemote ──END_STREAM sent──────^
 *                      └──────────────────────── RST_STREAM, connection lost ─────────────^
 */
export const StreamState = { idle: 0, open: 1, halfClosedLocal: 2, halfClosedRemote: 3, closed: 4 } as const;
export type StreamState = (typeof StreamState)[keyof typeof StreamState];

/** Why a stream ended otherwise than by END_STREAM on both sides. */
export type StreamClosure =
  /** RST_STREAM from the peer. */
  | { readonly t: "reset"; readonly code: number }
  /** The peer broke a rule on this stream, and was told so by RST_STREAM. */
  | { readonly t: "broken"; readonly code: ErrorCode; readonly message: string }
  /** The peer has said that it did not and will not look at it. */
  | { readonly t: "refused"; readonly message: string }
  /** The connection is gone. `sent` is false when nothing of the stream can have reached the peer. */
  | { readonly t: "lost"; readonly cause: Error | undefined; readonly sent: boolean };

/** What happens on a stream, told to the layer above. After `closed` nothing more is. */
export interface StreamReceiver {
  /** Client: the stream has its turn, and may send its head. */
  opened(): void;
  /** A response's head or trailers, a request's trailers. A request's head comes with the stream itself. */
  headers(section: FieldSection, endStream: boolean): void;
  /** Part of the body; the chunk is not written to again. {@link Http2Stream.consume} must be called for these bytes, now or later. */
  data(chunk: Buffer, start: number, end: number): void;
  /** END_STREAM on DATA. */
  dataEnd(): void;
  /** There is room again, after a write that returned false. */
  writable(): void;
  closed(closure: StreamClosure): void;
}

/** Bytes written and not yet sent at which a write returns false, and below which `writable` is called. */
export const highWaterBytes = 64 * 1024;

/** What ends the sending side once everything before it is sent. */
export type StreamEnding =
  | { readonly t: "data" }
  | { readonly t: "trailers"; readonly template: HeaderTemplate; readonly fields: readonly string[] };

export const endOfData: StreamEnding = { t: "data" };

/**
 * One stream (RFC 9113 §5): its state, its windows, and what waits to be sent. Frames are written by its connection, which alone changes these fields;
 * the layer above calls the methods.
 */
export class Http2Stream implements WheelEntry {
  readonly connection: Http2Connection;
  readonly receiver: StreamReceiver;
  /** 0 until the stream is opened. */
  id = 0;
  state: StreamState = StreamState.idle;
  sendWindow = 0;
  receiveWindow = 0;
  /** Bytes consumed and not yet given back to the peer's window. */
  returnedBytes = 0;
  /** Pieces that wait to be sent, from `queueAt` on; of the first, `firstOffset` bytes are gone. */
  queue: Uint8Array[] = [];
  queueAt = 0;
  firstOffset = 0;
  queuedBytes = 0;
  ending: StreamEnding | undefined;
  /** Whether a write returned false and `writable` is owed. */
  isBlocked = false;
  /** Whether the stream is in the connection's round of those that have something to send. */
  isScheduled = false;
  /** Bytes of the body that `content-length` declares and that have not come; -1 without. */
  declaredBytes = -1;
  /** Where the flags of its last DATA frame lie, valid while the writer is of that generation. */
  lastFlagsAt = 0;
  lastGeneration = -1;
  /** Generation of the writer when HEADERS were written. */
  headGeneration = -1;
  expiresAtMs = 0;
  wheelNext: WheelEntry | undefined = undefined;
  wheelPrevious: WheelEntry | undefined = undefined;
  readonly #expired: () => void;

  constructor(connection: Http2Connection, receiver: StreamReceiver, expired: () => void) {
    this.connection = connection;
    this.receiver = receiver;
    this.#expired = expired;
  }

  get isClosed(): boolean {
    return this.state === StreamState.closed;
  }

  /** Whether the peer can still send on it. */
  get isRemoteOpen(): boolean {
    return this.state === StreamState.open || this.state === StreamState.halfClosedLocal;
  }

  /** Whether this side can still send on it. */
  get isLocalOpen(): boolean {
    return this.state === StreamState.open || this.state === StreamState.halfClosedRemote;
  }

  /** The body is to be as long as `content-length` said (RFC 9113 §8.1.1); -1 without. */
  expectLength(contentLength: number): void {
    this.declaredBytes = contentLength;
    if (contentLength > 0 && !this.isRemoteOpen) this.connection.breakLength(this);
  }

  /** Sends HEADERS: the template's fields, then `fields` (names and values in turn). */
  sendHeaders(template: HeaderTemplate, fields: readonly string[], endStream: boolean): void {
    if (!this.isClosed) this.connection.sendHeaders(this, template, fields, endStream);
  }

  /** Sends a message with the five bytes before it that gRPC frames messages with. False: see {@link highWaterBytes}. */
  sendMessage(flag: number, message: Uint8Array): boolean {
    if (this.isClosed || this.ending !== undefined) return true;
    return this.connection.sendMessage(this, flag, message);
  }

  /** As {@link sendMessage}, of a message that is encoded in place, uncompressed. */
  sendEncoded<Message>(encoder: MessageEncoder<Message>, message: Message): boolean {
    if (this.isClosed || this.ending !== undefined) return true;
    return this.connection.sendEncoded(this, encoder, message);
  }

  /** Sends bytes as they are. */
  sendData(bytes: Uint8Array): boolean {
    if (this.isClosed || this.ending !== undefined) return true;
    return this.connection.enqueue(this, bytes);
  }

  /** Ends the sending side, after all that was written. */
  end(ending: StreamEnding): void {
    if (this.isClosed || this.ending !== undefined) return;
    this.ending = ending;
    this.connection.endStream(this, ending);
  }

  /** Ends the stream both ways at once (RST_STREAM). */
  reset(code: ErrorCode): void {
    this.connection.resetStream(this, code);
  }

  /** Gives bytes of the body back to the peer's window. */
  consume(bytes: number): void {
    this.connection.consume(this, bytes);
  }

  /** Tells the connection that bytes of the body wait for somebody to want them. */
  hold(bytes: number): void {
    this.connection.unreadBytes += bytes;
  }

  /** Somebody wants bytes that were held, or the stream is over. */
  release(bytes: number): void {
    this.connection.unreadBytes -= bytes;
  }

  expired(): void {
    this.#expired();
  }
}
