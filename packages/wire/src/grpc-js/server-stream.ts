import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";
import { emptyMetadata, type Metadata, metadataBytes } from "../metadata.js";
import { type Status, StatusCode } from "../status.js";
import type { ServerStream, ServerStreamEvents, StreamHandler } from "../transport.js";
import { Inbox } from "./inbox.js";
import { asBuffer, asBytes, fromGrpcMetadata, toGrpcMetadata } from "./metadata.js";
import { toGrpcStatus } from "./status.js";

/** Bytes written and not yet sent at which `write` asks the handler to wait, and below which it is told to go on. */
const highWaterBytes = 64 * 1024;
/** A timer of Node may fire this much before its time by the wall clock. */
const timerSlackMs = 2;

/** A stream that a handler serves, over a grpc-js call taken from its interceptor. */
export class GrpcJsServerStream implements ServerStream {
  readonly path: string;
  metadata: Metadata = emptyMetadata;
  readonly timeoutMs: number | undefined;
  readonly peer: string;
  readonly #call: ServerInterceptingCallInterface;
  readonly #onEnd: () => void;
  readonly #inbox: Inbox;
  readonly #deadlineMs: number;
  #events: ServerStreamEvents | undefined;
  #headSent = false;
  #pendingBytes = 0;
  #full = false;
  #over = false;

  constructor(options: {
    readonly path: string;
    readonly call: ServerInterceptingCallInterface;
    readonly onEnd: () => void;
  }) {
    this.path = options.path;
    this.#call = options.call;
    this.#onEnd = options.onEnd;
    this.#deadlineMs = Number(options.call.getDeadline());
    this.timeoutMs = Number.isFinite(this.#deadlineMs) ? Math.max(0, this.#deadlineMs - Date.now()) : undefined;
    this.peer = peerOf(options.call);
    this.#inbox = new Inbox({
      ask: () => this.#call.startRead(),
      deliver: (bytes) => this.#events?.message(bytes),
    });
  }

  /** Hands the stream to its handler; whatever that throws ends the stream INTERNAL. */
  start(handler: StreamHandler, maxMetadataBytes: number): void {
    this.#call.start({
      onReceiveMetadata: (metadata) => this.#begin(fromGrpcMetadata(metadata), handler, maxMetadataBytes),
      onReceiveMessage: (bytes: Buffer) => {
        if (!this.#over) this.#guard(() => this.#inbox.arrive(asBytes(bytes)));
      },
      onReceiveHalfClose: () => this.#inbox.finish(() => this.#guard(() => this.#events?.halfClose())),
      onCancel: () => this.#cancelled(),
    });
  }

  sendHead(metadata: Metadata): void {
    if (this.#over || this.#headSent) return;
    this.#headSent = true;
    const head = toGrpcMetadata(metadata);
    if (head.ok) this.#call.sendMetadata(head.value);
    else this.abort({ code: StatusCode.internal, message: head.error });
  }

  write(message: Uint8Array): boolean {
    if (!this.#over) this.sendHead(emptyMetadata);
    if (this.#over) return true;
    this.#pendingBytes += message.byteLength;
    this.#full = this.#pendingBytes >= highWaterBytes;
    this.#call.sendMessage(asBuffer(message), () => this.#sent(message.byteLength));
    return !this.#full;
  }

  read(count: number): void {
    this.#inbox.read(count);
  }

  end(status: Status, trailers: Metadata = emptyMetadata): void {
    if (this.#over) return;
    this.#finish();
    this.#call.sendStatus(toGrpcStatus(status, trailers));
  }

  /** Ends the stream from outside its handler, which is told to stop. */
  abort(status: Status): void {
    if (this.#over) return;
    this.end(status);
    this.#guard(() => this.#events?.cancel(status));
  }

  #begin(metadata: Metadata, handler: StreamHandler, maxMetadataBytes: number): void {
    this.metadata = metadata;
    if (metadataBytes(metadata) > maxMetadataBytes) {
      this.end({ code: StatusCode.resourceExhausted, message: "request metadata is larger than allowed" });
      return;
    }
    this.#guard(() => {
      this.#events = handler(this);
    });
    if (!this.#over) this.#call.startRead();
  }

  #sent(bytes: number): void {
    this.#pendingBytes -= bytes;
    if (this.#over || !this.#full || this.#pendingBytes >= highWaterBytes) return;
    this.#full = false;
    this.#guard(() => this.#events?.writable?.());
  }

  #cancelled(): void {
    if (this.#over) return;
    this.#finish();
    const timeUp = Date.now() + timerSlackMs >= this.#deadlineMs;
    const status = timeUp
      ? { code: StatusCode.deadlineExceeded, message: "deadline exceeded" }
      : { code: StatusCode.cancelled, message: "the client cancelled or went away" };
    this.#guard(() => this.#events?.cancel(status));
  }

  #finish(): void {
    this.#over = true;
    this.#inbox.close();
    this.#onEnd();
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch {
      // Callbacks must not throw; one that does costs its own stream, never the process. What it threw is not for the peer.
      this.abort({ code: StatusCode.internal, message: "internal error" });
    }
  }
}

function peerOf(call: ServerInterceptingCallInterface): string {
  const { remoteAddress, remotePort } = call.getConnectionInfo();
  if (remoteAddress === undefined) return "unknown";
  return remoteAddress.includes(":") ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}
