import { Channel, type ChannelOptions, credentials } from "@grpc/grpc-js";
import { type Clock, type Timer, type Watch, WatchSource } from "@weft/foundation";
import { emptyMetadata, metadataBytes } from "../metadata.js";
import { settledWithin } from "../settled-within.js";
import { type Status, StatusCode } from "../status.js";
import {
  type ClientStream,
  type ClientStreamEvents,
  type Connection,
  type ConnectionState,
  type ConnectOptions,
  defaultMaxMessageBytes,
  defaultMaxMetadataBytes,
  type RequestHead,
} from "../transport.js";
import { GrpcJsClientStream } from "./client-stream.js";
import { keepaliveOptions } from "./keepalive.js";
import { toGrpcMetadata } from "./metadata.js";
import { singleConnectionOptions } from "./single-connection-policy.js";

/** The longest time a timer takes; a deadline beyond it is none. Milliseconds, 24.8 days. */
const maxTimerMs = 2_147_483_647;
const defaultConnectTimeoutMs = 20_000;

/** One connection: a grpc-js channel of its own that connects once (see single-connection-policy.ts). */
export class GrpcJsConnection implements Connection {
  readonly #state = new WatchSource<ConnectionState>({ t: "connecting" });
  readonly #channel: Channel;
  readonly #streams = new Set<ClientStream>();
  readonly #maxMetadataBytes: number;
  readonly #clock: Clock;
  readonly #connectTimer: Timer;
  #lostBecause: Error | undefined;

  constructor(options: ConnectOptions, clock: Clock) {
    this.#clock = clock;
    this.#maxMetadataBytes = options.maxMetadataBytes ?? defaultMaxMetadataBytes;
    const owner = { ready: () => this.#ready(), lost: (cause: Error) => this.#lost(cause) };
    this.#channel = new Channel(targetOf(options.host, options.port), credentialsOf(options), {
      ...channelOptions(options),
      ...singleConnectionOptions(owner),
    });
    const timeoutMs = options.connectTimeoutMs ?? defaultConnectTimeoutMs;
    this.#connectTimer = clock.after(timeoutMs, () => this.#lost(new Error(`not connected within ${timeoutMs} ms`)));
    this.#connectTimer.unref();
    this.#channel.getConnectivityState(true);
  }

  get state(): Watch<ConnectionState> {
    return this.#state;
  }

  open(head: RequestHead, events: ClientStreamEvents): ClientStream {
    if (this.#state.value.t !== "ready") {
      const reason = this.#lostBecause === undefined ? "" : `: ${this.#lostBecause.message}`;
      const message = `connection is ${this.#state.value.t}${reason}`;
      return endedStream(events, { code: StatusCode.unavailable, message }, false);
    }
    const metadata = toGrpcMetadata(head.metadata);
    if (!metadata.ok) return endedStream(events, { code: StatusCode.internal, message: metadata.error }, true);
    if (metadataBytes(head.metadata) > this.#maxMetadataBytes) {
      const message = "request metadata is larger than allowed";
      return endedStream(events, { code: StatusCode.resourceExhausted, message }, true);
    }
    const call = this.#channel.createCall(head.path, grpcDeadline(head.timeoutMs), undefined, null, undefined);
    const stream = new GrpcJsClientStream({
      call,
      events,
      maxMetadataBytes: this.#maxMetadataBytes,
      onEnd: () => this.#streamEnded(stream),
    });
    this.#streams.add(stream);
    stream.start(metadata.value);
    return stream;
  }

  async close(drainMs = 0): Promise<void> {
    this.#leave({ t: "draining" });
    if (this.#streams.size > 0 && drainMs > 0) await this.#drained(drainMs);
    const status = { code: StatusCode.unavailable, message: "connection closed by this side" };
    for (const stream of [...this.#streams]) stream.reset(status);
    await this.#state.until((state) => state.t === "closed", new AbortController().signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close(0);
  }

  #ready(): void {
    this.#connectTimer[Symbol.dispose]();
    if (this.#state.value.t === "connecting") this.#state.set({ t: "ready" });
  }

  #lost(cause: Error): void {
    if (this.#state.value.t === "connecting" || this.#state.value.t === "ready") {
      this.#lostBecause = cause;
      this.#leave({ t: "draining", cause });
    }
  }

  /** Takes no more streams, and closes when none is open. */
  #leave(next: ConnectionState): void {
    this.#connectTimer[Symbol.dispose]();
    if (this.#state.value.t === "draining" || this.#state.value.t === "closed") return;
    if (this.#streams.size > 0) {
      this.#state.set(next);
      return;
    }
    this.#closed();
  }

  #closed(): void {
    this.#channel.close();
    this.#state.set(this.#lostBecause === undefined ? { t: "closed" } : { t: "closed", cause: this.#lostBecause });
  }

  #streamEnded(stream: ClientStream): void {
    this.#streams.delete(stream);
    if (this.#streams.size === 0 && this.#state.value.t === "draining") this.#closed();
  }

  #drained(drainMs: number): Promise<void> {
    return settledWithin(this.#state, ({ t }) => t === "closed", { timeoutMs: drainMs, clock: this.#clock });
  }
}

/** A stream that is over before anything was sent; its end is told after `open` has returned. */
function endedStream(events: ClientStreamEvents, status: Status, processed: boolean): ClientStream {
  queueMicrotask(() => events.end({ status, trailers: emptyMetadata, processed }));
  return { write: () => true, end() {}, read() {}, reset() {} };
}

function grpcDeadline(timeoutMs: number | undefined): number {
  return timeoutMs === undefined || timeoutMs > maxTimerMs ? Number.POSITIVE_INFINITY : Date.now() + timeoutMs;
}

/** A target that grpc-js does not resolve by itself when the host is an address. */
function targetOf(host: string, port: number): string {
  if (host.includes(":")) return `ipv6:[${host}]:${port}`;
  return /^[\d.]+$/.test(host) ? `ipv4:${host}:${port}` : `dns:${host}:${port}`;
}

function credentialsOf(options: ConnectOptions): ReturnType<typeof credentials.createInsecure> {
  const { tls } = options;
  if (tls === undefined) return credentials.createInsecure();
  const bytes = (pem: string | undefined): Buffer | null => (pem === undefined ? null : Buffer.from(pem));
  return credentials.createSsl(bytes(tls.roots), bytes(tls.privateKey), bytes(tls.certificate));
}

function channelOptions(options: ConnectOptions): ChannelOptions {
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  return {
    "grpc.default_authority": options.authority ?? `${host}:${options.port}`,
    ...(options.tls === undefined ? {} : { "grpc.ssl_target_name_override": options.tls.serverName }),
    "grpc.max_receive_message_length": options.maxMessageBytes ?? defaultMaxMessageBytes,
    "grpc.max_send_message_length": -1,
    ...keepaliveOptions(options.keepalive),
    // One channel, one connection, nothing decided behind the mesh's back.
    "grpc.use_local_subchannel_pool": 1,
    "grpc.service_config_disable_resolution": 1,
    "grpc.enable_retries": 0,
    "grpc.enable_http_proxy": 0,
    "grpc.enable_channelz": 0,
    "grpc.client_idle_timeout_ms": maxTimerMs,
    // No buffer for retries: then the callback of a write means that it was sent, which is what back-pressure needs.
    "grpc.per_rpc_retry_buffer_size": 0,
  };
}
