import { type experimental, Metadata as GrpcMetadata, status as grpcStatus, type StatusObject } from "@grpc/grpc-js";
import { emptyMetadata, type Metadata, metadataBytes } from "../metadata.js";
import { parseStatusCode, type Status, StatusCode } from "../status.js";
import type { ClientStream, ClientStreamEvents } from "../transport.js";
import { Inbox } from "./inbox.js";
import { asBuffer, asBytes, fromGrpcMetadata } from "./metadata.js";
import { neverSent } from "./single-connection-policy.js";
import { detailsOf } from "./status.js";

/** Bytes written and not yet sent at which `write` asks the caller to wait, and below which it is told to go on. */
const highWaterBytes = 64 * 1024;

/** The words of grpc-js for a stream that ended by RST_STREAM with REFUSED_STREAM, or above GOAWAY's last stream id. */
const refusedDetails = "Stream refused by server";
/** The beginning of its words for a stream that Node would not start, because the session was closed already. */
const notStartedDetails = "Failed to start HTTP/2 stream";

/** A stream over a grpc-js call. grpc-js takes one message at a time, so what comes faster waits here. */
export class GrpcJsClientStream implements ClientStream {
  readonly #call: experimental.CallStream;
  readonly #events: ClientStreamEvents;
  readonly #maxMetadataBytes: number;
  readonly #onEnd: () => void;
  readonly #inbox: Inbox;
  readonly #queue: Buffer[] = [];
  #queuedBytes = 0;
  #sending = false;
  #full = false;
  #halfClosed = false;
  #headSeen = false;
  #endReceived = false;
  #ended = false;

  constructor(options: {
    readonly call: experimental.CallStream;
    readonly events: ClientStreamEvents;
    readonly maxMetadataBytes: number;
    readonly onEnd: () => void;
  }) {
    this.#call = options.call;
    this.#events = options.events;
    this.#maxMetadataBytes = options.maxMetadataBytes;
    this.#onEnd = options.onEnd;
    this.#inbox = new Inbox({
      ask: () => this.#call.startRead(),
      deliver: (bytes) => this.#events.message(bytes),
    });
  }

  /** Sends the request's head. */
  start(metadata: GrpcMetadata): void {
    this.#call.start(metadata, {
      onReceiveMetadata: (head) => this.#onHead(fromGrpcMetadata(head)),
      onReceiveMessage: (bytes: Buffer) => {
        if (!this.#ended) this.#inbox.arrive(asBytes(bytes));
      },
      onReceiveStatus: (status) => this.#onStatus(status),
    });
    this.#call.startRead();
  }

  write(message: Uint8Array): boolean {
    if (this.#ended || this.#halfClosed) return true;
    this.#queue.push(asBuffer(message));
    this.#queuedBytes += message.byteLength;
    this.#sendNext();
    this.#full = this.#queuedBytes >= highWaterBytes;
    return !this.#full;
  }

  end(): void {
    if (this.#ended || this.#halfClosed) return;
    this.#halfClosed = true;
    if (this.#queue.length === 0) this.#call.halfClose();
  }

  read(count: number): void {
    this.#inbox.read(count);
  }

  reset(status: Status): void {
    if (this.#ended) return;
    // What is kept back is not wanted any more, and must not hold up the end.
    this.#inbox.close();
    if (!this.#endReceived) {
      this.#call.cancelWithStatus(status.code, status.message);
      return;
    }
    // To grpc-js the call is over, and it would say nothing more: only its end waited behind a message.
    const ended = { code: status.code, details: status.message, metadata: new GrpcMetadata() };
    queueMicrotask(() => this.#finish(ended));
  }

  #sendNext(): void {
    if (this.#sending) return;
    const message = this.#queue.shift();
    if (message === undefined) return;
    this.#sending = true;
    const last = this.#halfClosed && this.#queue.length === 0;
    this.#call.sendMessageWithContext({ callback: () => this.#sent(message.byteLength) }, message);
    if (last) this.#call.halfClose();
  }

  #sent(bytes: number): void {
    this.#sending = false;
    this.#queuedBytes -= bytes;
    if (this.#ended) return;
    this.#sendNext();
    if (this.#full && this.#queuedBytes < highWaterBytes) {
      this.#full = false;
      this.#events.writable?.();
    }
  }

  #onHead(head: Metadata): void {
    if (this.#ended) return;
    this.#headSeen = true;
    if (metadataBytes(head) > this.#maxMetadataBytes) {
      this.reset({ code: StatusCode.resourceExhausted, message: "response metadata is larger than allowed" });
      return;
    }
    this.#events.head(head);
  }

  #onStatus(received: StatusObject): void {
    if (this.#ended) return;
    this.#endReceived = true;
    const finish = (): void => this.#finish(received);
    if (received.code === grpcStatus.OK) this.#inbox.finish(finish);
    else finish();
  }

  #finish(received: StatusObject): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#inbox.close();
    this.#queue.length = 0;
    this.#onEnd();
    if (this.#wasNeverProcessed(received)) {
      const status = { code: StatusCode.unavailable, message: received.details };
      this.#events.end({ status, trailers: emptyMetadata, processed: false });
      return;
    }
    const trailers = fromGrpcMetadata(received.metadata);
    if (metadataBytes(trailers) > this.#maxMetadataBytes) {
      const status = { code: StatusCode.resourceExhausted, message: "response trailers are larger than allowed" };
      this.#events.end({ status, trailers: emptyMetadata, processed: true });
      return;
    }
    const details = detailsOf(received.metadata);
    const status = {
      code: parseStatusCode(received.code),
      message: received.code === grpcStatus.OK ? "" : received.details,
      ...(details === undefined ? {} : { details }),
    };
    this.#events.end({ status, trailers, processed: true });
  }

  /** See README, "Streams that were provably not processed". A status that came in trailers has metadata, at least its content type. */
  #wasNeverProcessed(received: StatusObject): boolean {
    if (received.metadata === neverSent) return true;
    if (this.#headSeen || Object.keys(received.metadata.toJSON()).length > 0) return false;
    return (
      (received.code === grpcStatus.UNAVAILABLE && received.details === refusedDetails) ||
      (received.code === grpcStatus.INTERNAL && received.details.startsWith(notStartedDetails))
    );
  }
}
