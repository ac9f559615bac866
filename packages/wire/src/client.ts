import { connect as connectTcp, type Socket } from "node:net";
import { type Clock, type Watch, WatchSource } from "@weft/foundation";
import { type ConnectionEnvironment, type ConnectionOwner, Http2Connection } from "./connection/connection.js";
import { type ConnectionLimits, defaultLimits } from "./connection/limits.js";
import { WheelTimer } from "./connection/timer-wheel.js";
import { ErrorCode, errorCodeName } from "./frame/error-code.js";
import { ClientCall } from "./grpc/client-call.js";
import { acceptedEncodings, type Encoding } from "./grpc/compression.js";
import { metadataToFields } from "./grpc/metadata-fields.js";
import { encodeTimeout } from "./grpc/timeout.js";
import { HeaderTemplate } from "./hpack/header-template.js";
import { emptyMetadata, metadataBytes } from "./metadata.js";
import { settledWithin } from "./settled-within.js";
import { type Status, StatusCode } from "./status.js";
import type { Http2Stream } from "./stream/stream.js";
import { connectTls, speaksHttp2 } from "./tls.js";
import {
  type ClientStream,
  type ClientStreamEvents,
  type Connection,
  type ConnectionState,
  type ConnectOptions,
  defaultMaxMessageBytes,
  defaultMaxMetadataBytes,
  type RequestHead,
  TooManyPings,
} from "./transport.js";

const defaultConnectTimeoutMs = 20_000;
/** Methods whose header block a connection remembers. */
const maxTemplates = 1_024;
const userAgent = "grpc-node-weft/0.1.0";
/** What a header list holds beside metadata: pseudo-header fields, content-type and the like. */
const ownHeaderBytes = 16 * 1024;

/** A client's connection: connects once, opens calls, and tells its state (see `ConnectionState`). */
export class ClientConnection implements Connection, ConnectionOwner {
  readonly #state = new WatchSource<ConnectionState>({ t: "connecting" });
  readonly #options: ConnectOptions;
  readonly #environment: ConnectionEnvironment;
  readonly #limits: ConnectionLimits;
  readonly #clock: Clock;
  readonly #maxMessageBytes: number;
  readonly #maxMetadataBytes: number;
  readonly #encoding: Encoding;
  readonly #authority: string;
  readonly #connectTimer: WheelTimer;
  readonly #templates = new Map<string, HeaderTemplate>();
  readonly #socket: Socket;
  #http2: Http2Connection | undefined;
  #cause: Error | undefined;

  constructor(options: ConnectOptions, environment: ConnectionEnvironment, limits: Partial<ConnectionLimits>) {
    this.#options = options;
    this.#environment = environment;
    this.#clock = environment.clock;
    this.#maxMessageBytes = options.maxMessageBytes ?? defaultMaxMessageBytes;
    this.#maxMetadataBytes = options.maxMetadataBytes ?? defaultMaxMetadataBytes;
    const timeoutMs = options.connectTimeoutMs ?? defaultConnectTimeoutMs;
    const maxHeaderListBytes = this.#maxMetadataBytes + ownHeaderBytes;
    this.#limits = { ...defaultLimits, maxHeaderListBytes, handshakeTimeoutMs: timeoutMs, ...limits };
    this.#encoding = options.compression ?? "identity";
    const host = options.host.includes(":") ? `[${options.host}]` : options.host;
    this.#authority = options.authority ?? `${host}:${options.port}`;
    this.#connectTimer = new WheelTimer(environment.wheel, () =>
      this.#lost(new Error(`not connected within ${timeoutMs} ms`)),
    );
    this.#connectTimer.set(timeoutMs);
    this.#socket = this.#connect();
  }

  get state(): Watch<ConnectionState> {
    return this.#state;
  }

  open(head: RequestHead, events: ClientStreamEvents): ClientStream {
    const connection = this.#http2;
    if (connection === undefined || this.#state.value.t !== "ready") {
      const reason = this.#cause === undefined ? "" : `: ${this.#cause.message}`;
      const message = `connection is ${this.#state.value.t}${reason}`;
      return endedCall(events, { code: StatusCode.unavailable, message }, false);
    }
    const { timeoutMs, metadata } = head;
    if (timeoutMs !== undefined && timeoutMs <= 0) {
      return endedCall(events, { code: StatusCode.deadlineExceeded, message: "deadline exceeded" }, true);
    }
    const fields: string[] = timeoutMs === undefined ? [] : ["grpc-timeout", encodeTimeout(timeoutMs)];
    if (metadata.length > 0) {
      const breach = metadataToFields(metadata, fields);
      if (breach !== undefined) return endedCall(events, { code: StatusCode.internal, message: breach }, true);
      const bytes = metadataBytes(metadata);
      if (bytes > this.#maxMetadataBytes || bytes > connection.peer.maxHeaderListSize) {
        const message = "request metadata is larger than allowed";
        return endedCall(events, { code: StatusCode.resourceExhausted, message }, true);
      }
    }
    const call = new ClientCall({
      connection,
      events,
      template: this.#templateOf(head.path),
      fields,
      timeoutMs,
      maxMessageBytes: this.#maxMessageBytes,
      maxMetadataBytes: this.#maxMetadataBytes,
      encoding: this.#encoding,
    });
    call.start();
    return call;
  }

  async close(drainMs = 0): Promise<void> {
    this.#leave({ t: "draining" });
    if (drainMs > 0)
      await settledWithin(this.#state, ({ t }) => t === "closed", { timeoutMs: drainMs, clock: this.#clock });
    if (this.#state.value.t !== "closed") this.#end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close(0);
  }

  // What the connection tells (ConnectionOwner).

  ready(): void {
    this.#connectTimer.clear();
    if (this.#state.value.t === "connecting") this.#state.set({ t: "ready" });
  }

  request(): Http2Stream {
    throw new Error("a client takes no requests");
  }

  begin(): void {}

  goaway(code: number, debugData: string): void {
    if (code === ErrorCode.enhanceYourCalm && debugData === "too_many_pings") this.#cause ??= new TooManyPings();
    else if (code === ErrorCode.noError) this.#cause ??= new Error("the peer is closing the connection");
    else
      this.#cause ??= new Error(
        `the peer ended the connection with ${errorCodeName(code)}: ${JSON.stringify(debugData)}`,
      );
    this.#leave({ t: "draining", cause: this.#cause });
  }

  idle(): void {}

  closed(cause: Error | undefined): void {
    this.#connectTimer.clear();
    this.#cause ??= cause;
    this.#state.set(this.#cause === undefined ? { t: "closed" } : { t: "closed", cause: this.#cause });
  }

  #connect(): Socket {
    const { host, port, tls } = this.#options;
    if (tls === undefined) {
      const socket = connectTcp({ host, port, noDelay: true });
      socket.once("connect", () => this.#start(socket));
      socket.once("error", this.#onError);
      return socket;
    }
    const socket = connectTls({ host, port, tls });
    socket.once("secureConnect", () => {
      if (speaksHttp2(socket)) this.#start(socket);
      else this.#lost(new Error("the peer does not speak HTTP/2 over TLS"));
    });
    socket.once("error", this.#onError);
    return socket;
  }

  /** An error before HTTP/2 begins. */
  readonly #onError = (error: Error): void => this.#lost(error);

  #start(socket: Socket): void {
    if (this.#state.value.t !== "connecting") return;
    this.#http2 = new Http2Connection({
      socket,
      isServer: false,
      owner: this,
      limits: this.#limits,
      environment: this.#environment,
      maxConcurrentStreams: 0,
      keepalive: this.#options.keepalive,
    });
  }

  /** Takes no more calls, and closes when none is open. */
  #leave(next: ConnectionState): void {
    const { t } = this.#state.value;
    if (t === "draining" || t === "closed") return;
    const connection = this.#http2;
    if (connection === undefined || t === "connecting") {
      this.#end();
    } else if (connection.streams.size > 0 || connection.pendingStreams.length > 0) {
      this.#state.set(next);
      connection.drain();
    } else {
      connection.finish();
    }
  }

  /** Closes now; calls that are open are lost. */
  #end(): void {
    if (this.#http2 !== undefined) {
      this.#http2.finish();
      return;
    }
    this.#socket.destroy();
    this.closed(undefined);
  }

  #lost(cause: Error): void {
    this.#cause ??= cause;
    if (this.#http2 !== undefined) this.#http2.destroy(cause);
    this.#socket.destroy();
    this.closed(cause);
  }

  /** What each request of a method begins with. */
  #templateOf(path: string): HeaderTemplate {
    const known = this.#templates.get(path);
    if (known !== undefined) return known;
    if (this.#templates.size >= maxTemplates) this.#templates.clear();
    const fields: (readonly [name: string, value: string])[] = [
      [":method", "POST"],
      [":scheme", this.#options.tls === undefined ? "http" : "https"],
      [":path", path],
      [":authority", this.#authority],
      ["te", "trailers"],
      ["content-type", "application/grpc"],
      ["user-agent", userAgent],
      ["grpc-accept-encoding", acceptedEncodings],
    ];
    if (this.#encoding !== "identity") fields.push(["grpc-encoding", this.#encoding]);
    const template = new HeaderTemplate(fields.map(([name, value]) => ({ name, value })));
    this.#templates.set(path, template);
    return template;
  }
}

/** A call that is over before anything was sent; its end is told after `open` has returned. */
function endedCall(events: ClientStreamEvents, status: Status, processed: boolean): ClientStream {
  queueMicrotask(() => events.end({ status, trailers: emptyMetadata, processed }));
  return { write: () => true, end() {}, read() {}, reset() {} };
}
