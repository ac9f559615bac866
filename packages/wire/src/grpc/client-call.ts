import type { Http2Connection } from "../connection/connection.js";
import { ErrorCode } from "../frame/error-code.js";
import type { FieldSection } from "../hpack/field-section.js";
import type { HeaderTemplate } from "../hpack/header-template.js";
import { emptyMetadata, type Metadata, metadataBytes } from "../metadata.js";
import { type Status, StatusCode } from "../status.js";
import { endOfData, Http2Stream, type StreamClosure, type StreamReceiver } from "../stream/stream.js";
import type { ClientStream, ClientStreamEvents, MessageEncoder } from "../transport.js";
import { statusOfClosure } from "./closure-status.js";
import { compress, compressFromBytes, type Encoding, MessageFlag, parseEncoding } from "./compression.js";
import { encodedMessage } from "./encoded-message.js";
import { MessageReader, type MessageSink } from "./message-reader.js";
import { codeOfHttpStatus, ResponseFields } from "./response-fields.js";

/** `grpc-timeout` is sent in whole milliseconds, so that a server may reckon with a little less time. */
const timeoutSlackMs = 2;

/** What one call needs beside its connection. */
export interface ClientCallOptions {
  readonly connection: Http2Connection;
  readonly events: ClientStreamEvents;
  readonly template: HeaderTemplate;
  /** Fields after the template's, name and value in turn. */
  readonly fields: readonly string[];
  readonly timeoutMs: number | undefined;
  readonly maxMessageBytes: number;
  readonly maxMetadataBytes: number;
  /** How messages are sent. */
  readonly encoding: Encoding;
}

/** A call from the client's side.
 *
 *   head to come ──head──> messages ──trailers──> draining ──last message delivered──> over
 *        │                    └── reset, loss, deadline, breach ───────────────────────^
 *        └── trailers-only ────────────────────────────────────────────────────────────^
 */
export class ClientCall implements ClientStream, StreamReceiver, MessageSink {
  readonly #options: ClientCallOptions;
  readonly #events: ClientStreamEvents;
  readonly #stream: Http2Stream;
  readonly #reader: MessageReader;
  #hasHead = false;
  #trailers: ResponseFields | undefined;
  #isOver = false;

  constructor(options: ClientCallOptions) {
    this.#options = options;
    this.#events = options.events;
    this.#stream = new Http2Stream(options.connection, this, () => this.#timeUp());
    this.#reader = new MessageReader(this.#stream, this, options.maxMessageBytes);
  }

  /** Opens the stream, at once or in its turn. */
  start(): void {
    const { timeoutMs, connection } = this.#options;
    if (timeoutMs !== undefined) connection.environment.wheel.add(this.#stream, timeoutMs);
    connection.open(this.#stream);
  }

  // What the caller asks for (ClientStream).

  write(message: Uint8Array): boolean {
    if (this.#options.encoding === "identity" || message.length < compressFromBytes) {
      return this.#stream.sendMessage(MessageFlag.plain, message);
    }
    return this.#stream.sendMessage(MessageFlag.compressed, compress(message));
  }

  writeEncoded<Message>(encoder: MessageEncoder<Message>, message: Message): boolean {
    if (this.#options.encoding !== "identity") return this.write(encodedMessage(encoder, message));
    return this.#stream.sendEncoded(encoder, message);
  }

  end(): void {
    this.#stream.end(endOfData);
  }

  read(count: number): void {
    if (!this.#isOver) this.#reader.read(count);
  }

  reset(status: Status): void {
    if (this.#isOver) return;
    this.#stream.reset(ErrorCode.cancel);
    this.#finishLater({ status, trailers: emptyMetadata, processed: true });
  }

  // What the stream tells (StreamReceiver).

  opened(): void {
    this.#stream.sendHeaders(this.#options.template, this.#options.fields, false);
  }

  headers(section: FieldSection, endStream: boolean): void {
    if (this.#isOver) return;
    const fields = ResponseFields.of(section);
    if (fields.breach !== undefined) this.#break(fields.breach);
    else if (this.#hasHead && fields.httpStatus !== 0) this.#break(":status in trailers");
    else if (this.#hasHead) this.#receiveTrailers(fields, endStream);
    else this.#receiveHead(fields, section, endStream);
  }

  data(chunk: Buffer, start: number, end: number): void {
    if (this.#hasHead) {
      this.#reader.push(chunk, start, end);
      return;
    }
    this.#break("a body without a head");
  }

  dataEnd(): void {
    if (this.#isOver) return;
    this.#endSending();
    this.#fail({ code: StatusCode.internal, message: "the server ended the stream without a status" });
  }

  writable(): void {
    if (!this.#isOver) this.#events.writable?.();
  }

  closed(closure: StreamClosure): void {
    // After the trailers the server may reset the stream: it does not want the rest of the request.
    if (this.#isOver || this.#trailers !== undefined) return;
    if (closure.t === "reset" && closure.code === ErrorCode.cancel && this.#isTimeUp()) {
      // The server's timer was a moment earlier than ours.
      this.#fail({ code: StatusCode.deadlineExceeded, message: "deadline exceeded" });
      return;
    }
    const processed = closure.t === "refused" ? false : closure.t !== "lost" || closure.sent;
    this.#finish({ status: statusOfClosure(closure), trailers: emptyMetadata, processed });
  }

  // What the reader tells (MessageSink).

  message(bytes: Uint8Array): void {
    this.#events.message(bytes);
  }

  messagesEnded(): void {
    const trailers = this.#trailers;
    if (trailers !== undefined) this.#finishWith(trailers);
  }

  messagesBroken(status: Status): void {
    this.#stream.reset(ErrorCode.cancel);
    this.#fail(status);
  }

  #receiveHead(fields: ResponseFields, section: FieldSection, endStream: boolean): void {
    const { httpStatus } = fields;
    if (httpStatus === 0) {
      this.#break("a response without :status");
    } else if (httpStatus < 200) {
      if (endStream) this.#break("an interim response that ends the stream");
    } else if (httpStatus !== 200 || !fields.contentType.startsWith("application/grpc")) {
      this.#receiveForeign(fields);
    } else if (endStream) {
      this.#hasHead = true;
      this.#receiveTrailers(fields, true);
    } else {
      this.#acceptHead(fields, section);
    }
  }

  #acceptHead(fields: ResponseFields, section: FieldSection): void {
    const encoding = parseEncoding(fields.encoding);
    if (section.tooLarge || metadataBytes(fields.metadata) > this.#options.maxMetadataBytes) {
      this.#stream.reset(ErrorCode.cancel);
      this.#fail({ code: StatusCode.resourceExhausted, message: "response metadata is larger than allowed" });
    } else if (encoding === undefined) {
      this.#stream.reset(ErrorCode.cancel);
      this.#fail({
        code: StatusCode.internal,
        message: `the response is encoded as ${JSON.stringify(fields.encoding)}`,
      });
    } else {
      this.#hasHead = true;
      this.#reader.encoding = encoding;
      this.#events.head(fields.metadata);
    }
  }

  /** A response that is not gRPC's, unless it has a status all the same. */
  #receiveForeign(fields: ResponseFields): void {
    const code = codeOfHttpStatus(fields.httpStatus);
    const what = `HTTP status ${fields.httpStatus}, content-type ${JSON.stringify(fields.contentType)}`;
    this.#stream.reset(ErrorCode.cancel);
    this.#finish({
      status: fields.status ?? { code, message: `the response is not gRPC: ${what}` },
      trailers: emptyMetadata,
      processed: true,
    });
  }

  #receiveTrailers(fields: ResponseFields, endStream: boolean): void {
    if (!endStream) {
      this.#break("trailers that do not end the stream");
      return;
    }
    this.#trailers = fields;
    this.#endSending();
    this.#reader.end();
  }

  #finishWith(fields: ResponseFields): void {
    if (metadataBytes(fields.metadata) > this.#options.maxMetadataBytes) {
      this.#fail({ code: StatusCode.resourceExhausted, message: "response trailers are larger than allowed" });
      return;
    }
    const status = fields.status ?? { code: StatusCode.unknown, message: "the response has no grpc-status" };
    this.#finish({ status, trailers: fields.metadata, processed: true });
  }

  /** The server has answered: what is left of the request is not wanted any more. */
  #endSending(): void {
    if (!this.#stream.isClosed) this.#stream.reset(ErrorCode.noError);
  }

  #timeUp(): void {
    if (this.#isOver) return;
    this.#stream.reset(ErrorCode.cancel);
    this.#fail({ code: StatusCode.deadlineExceeded, message: "deadline exceeded" });
  }

  #isTimeUp(): boolean {
    const { timeoutMs, connection } = this.#options;
    return timeoutMs !== undefined && connection.environment.clock.nowMs() >= this.#stream.expiresAtMs - timeoutSlackMs;
  }

  #break(breach: string): void {
    this.#options.connection.breakStream(this.#stream, ErrorCode.protocolError);
    this.#fail({ code: StatusCode.internal, message: `the server broke a rule of HTTP/2: ${breach}` });
  }

  #fail(status: Status): void {
    this.#finish({ status, trailers: emptyMetadata, processed: true });
  }

  #finish(outcome: { readonly status: Status; readonly trailers: Metadata; readonly processed: boolean }): void {
    if (this.#isOver) return;
    this.#close();
    this.#events.end(outcome);
  }

  /** The end is not told while the caller is still in the call that brought it. */
  #finishLater(outcome: { readonly status: Status; readonly trailers: Metadata; readonly processed: boolean }): void {
    this.#close();
    queueMicrotask(() => this.#events.end(outcome));
  }

  #close(): void {
    this.#isOver = true;
    this.#options.connection.environment.wheel.remove(this.#stream);
    this.#reader.close();
  }
}
