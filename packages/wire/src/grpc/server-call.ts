import type { Http2Connection } from "../connection/connection.js";
import { ErrorCode } from "../frame/error-code.js";
import type { FieldSection } from "../hpack/field-section.js";
import { HeaderTemplate } from "../hpack/header-template.js";
import { emptyMetadata, type Metadata } from "../metadata.js";
import { type Status, StatusCode } from "../status.js";
import { Http2Stream, type StreamClosure, type StreamReceiver } from "../stream/stream.js";
import type { MessageEncoder, ServerStream, ServerStreamEvents, StreamHandler } from "../transport.js";
import { accepts, compress, compressFromBytes, type Encoding, MessageFlag } from "./compression.js";
import { encodedMessage } from "./encoded-message.js";
import { MessageReader, type MessageSink } from "./message-reader.js";
import { metadataToFields, toBase64 } from "./metadata-fields.js";
import { type RequestHead, trailersBreach } from "./request-head.js";
import { encodeStatusMessage } from "./status-message.js";

/** The header blocks that most responses of one connection consist of. */
export class ResponseTemplates {
  readonly head = templateOf([":status", "200"], ["content-type", "application/grpc"]);
  readonly compressedHead = templateOf(
    [":status", "200"],
    ["content-type", "application/grpc"],
    ["grpc-encoding", "gzip"],
    ["grpc-accept-encoding", "identity,gzip"],
  );
  readonly okTrailers = templateOf(["grpc-status", "0"]);
  readonly trailers = templateOf();
}

function templateOf(...fields: readonly (readonly [name: string, value: string])[]): HeaderTemplate {
  return new HeaderTemplate(fields.map(([name, value]) => ({ name, value })));
}

/** What a call needs of the listener and the connection that it came on. */
export interface ServerCallOptions {
  readonly connection: Http2Connection;
  readonly templates: ResponseTemplates;
  readonly peer: string;
  readonly maxMessageBytes: number;
  /** How messages may be sent to a client that takes it. */
  readonly encoding: Encoding;
  /** The handler has ended, or will hear no more. */
  readonly onEnd: (call: ServerCall) => void;
}

const noFields: readonly string[] = [];

/**
 * A call from the server's side.
 *
 *   begun ──sendHead or write──> head sent ──end──> over
 *     └── end (trailers-only), cancel: reset, loss, deadline, breach ─^
 */
export class ServerCall implements ServerStream, StreamReceiver, MessageSink {
  readonly stream: Http2Stream;
  readonly path: string;
  readonly metadata: Metadata;
  readonly timeoutMs: number | undefined;
  readonly #options: ServerCallOptions;
  readonly #reader: MessageReader;
  readonly #encoding: Encoding;
  #events: ServerStreamEvents | undefined;
  #headSent = false;
  #isOver = false;

  constructor(options: ServerCallOptions, head: RequestHead) {
    this.#options = options;
    this.path = head.path;
    this.metadata = head.metadata;
    this.timeoutMs = head.timeoutMs;
    this.#encoding = options.encoding === "gzip" && accepts(head.acceptEncoding, "gzip") ? "gzip" : "identity";
    this.stream = new Http2Stream(options.connection, this, () => this.#timeUp());
    this.#reader = new MessageReader(this.stream, this, options.maxMessageBytes);
  }

  get peer(): string {
    return this.#options.peer;
  }

  /** Hands the call to its handler. */
  start(handler: StreamHandler, requestEncoding: Encoding, endStream: boolean): void {
    this.#reader.encoding = requestEncoding;
    if (this.timeoutMs !== undefined) this.#options.connection.environment.wheel.add(this.stream, this.timeoutMs);
    try {
      this.#events = handler(this);
    } catch {
      // What it threw is not for the peer.
      this.abort({ code: StatusCode.internal, message: "internal error" });
    }
    if (endStream) this.dataEnd();
  }

  // What the handler asks for (ServerStream).

  sendHead(metadata: Metadata): void {
    if (this.#isOver || this.#headSent) return;
    this.#headSent = true;
    const { templates } = this.#options;
    const template = this.#encoding === "identity" ? templates.head : templates.compressedHead;
    if (metadata.length === 0) {
      this.stream.sendHeaders(template, noFields, false);
      return;
    }
    const fields: string[] = [];
    const breach = metadataToFields(metadata, fields);
    if (breach === undefined) {
      this.stream.sendHeaders(template, fields, false);
    } else {
      this.#headSent = false;
      this.abort({ code: StatusCode.internal, message: breach });
    }
  }

  write(message: Uint8Array): boolean {
    if (!this.#headSent) this.sendHead(emptyMetadata);
    if (this.#isOver) return true;
    if (this.#encoding === "identity" || message.length < compressFromBytes) {
      return this.stream.sendMessage(MessageFlag.plain, message);
    }
    return this.stream.sendMessage(MessageFlag.compressed, compress(message));
  }

  writeEncoded<Message>(encoder: MessageEncoder<Message>, message: Message): boolean {
    if (this.#encoding !== "identity") return this.write(encodedMessage(encoder, message));
    if (!this.#headSent) this.sendHead(emptyMetadata);
    if (this.#isOver) return true;
    return this.stream.sendEncoded(encoder, message);
  }

  read(count: number): void {
    if (!this.#isOver) this.#reader.read(count);
  }

  end(status: Status, trailers: Metadata = emptyMetadata, own: readonly string[] = noFields): void {
    if (this.#isOver) return;
    this.#close();
    this.#sendStatus(status, trailers, own);
  }

  /** Answers a request that is not gRPC's with an HTTP status (gRPC over HTTP/2, "Responses"). */
  refuse(httpStatus: string): void {
    if (this.#isOver) return;
    this.#close();
    this.stream.sendHeaders(this.#options.templates.trailers, [":status", httpStatus], true);
  }

  /** Ends the call from outside its handler, which is told to stop. */
  abort(status: Status): void {
    if (this.#isOver) return;
    this.end(status);
    this.#tell((events) => events.cancel(status));
  }

  // What the stream tells (StreamReceiver).

  opened(): void {}

  headers(section: FieldSection, _endStream: boolean): void {
    const breach = trailersBreach(section);
    if (breach === undefined) this.dataEnd();
    else this.#break();
  }

  data(chunk: Buffer, start: number, end: number): void {
    this.#reader.push(chunk, start, end);
  }

  dataEnd(): void {
    this.#reader.end();
  }

  writable(): void {
    if (!this.#isOver) this.#tell((events) => events.writable?.());
  }

  closed(_closure: StreamClosure): void {
    if (this.#isOver) return;
    this.#close();
    this.#tell((events) => events.cancel({ code: StatusCode.cancelled, message: "the client cancelled or went away" }));
  }

  // What the reader tells (MessageSink).

  message(bytes: Uint8Array): void {
    try {
      this.#events?.message(bytes);
    } catch {
      this.abort({ code: StatusCode.internal, message: "internal error" });
    }
  }

  messagesEnded(): void {
    try {
      this.#events?.halfClose();
    } catch {
      this.abort({ code: StatusCode.internal, message: "internal error" });
    }
  }

  messagesBroken(status: Status): void {
    this.abort(status);
  }

  #sendStatus(status: Status, trailers: Metadata, own: readonly string[]): void {
    const { templates } = this.#options;
    const isPlainOk = status.code === StatusCode.ok && status.details === undefined && trailers.length === 0;
    if (isPlainOk && this.#headSent) {
      this.stream.end({ t: "trailers", template: templates.okTrailers, fields: noFields });
      return;
    }
    const fields: string[] = ["grpc-status", String(status.code), ...own];
    if (status.message !== "") fields.push("grpc-message", encodeStatusMessage(status.message));
    if (status.details !== undefined) fields.push("grpc-status-details-bin", toBase64(status.details));
    const breach = metadataToFields(trailers, fields);
    if (breach !== undefined) {
      fields.splice(0, fields.length, "grpc-status", String(StatusCode.internal));
      fields.push("grpc-message", encodeStatusMessage(breach));
    }
    const template = this.#headSent ? templates.trailers : templates.head;
    this.stream.end({ t: "trailers", template, fields });
  }

  #timeUp(): void {
    this.abort({ code: StatusCode.deadlineExceeded, message: "deadline exceeded" });
  }

  /** The client broke a rule of HTTP/2 on this stream. */
  #break(): void {
    this.#options.connection.breakStream(this.stream, ErrorCode.protocolError);
    this.closed({ t: "broken", code: ErrorCode.protocolError, message: "" });
  }

  #tell(what: (events: ServerStreamEvents) => void): void {
    const events = this.#events;
    if (events === undefined) return;
    try {
      what(events);
    } catch {
      // Callbacks must not throw; one that does costs its own stream, never the process. What it threw is not for the peer.
      this.abort({ code: StatusCode.internal, message: "internal error" });
    }
  }

  #close(): void {
    this.#isOver = true;
    this.#options.connection.environment.wheel.remove(this.stream);
    this.#reader.close();
    this.#options.onEnd(this);
  }
}
