import type { Watch } from "@weft/foundation";
import type { Metadata } from "./metadata.js";
import type { Status } from "./status.js";

/**
 * The seam under the mesh: gRPC streams of bytes over connections. Nothing here knows protobuf, routes or policies.
 * Every implementation passes `runTransportContract` (`@weft/wire/testing`).
 *
 *   client: connect → Connection → open → ClientStream ⇢ events (head, message…, end)
 *   server: listen → Listener; each stream → its method's StreamHandler → events (message…, halfClose, cancel)
 */
export interface Transport {
  /** For logs and benches. */
  readonly name: string;
  /** Starts one connection and returns at once; it never reconnects: who wants another connection makes one. */
  connect(options: ConnectOptions): Connection;
  /** Resolves once the address is bound; rejects with the system's error otherwise. */
  listen(options: ListenOptions): Promise<Listener>;
}

/** Longest message taken unless {@link StreamLimits.maxMessageBytes} says otherwise: 4 MiB. */
export const defaultMaxMessageBytes = 4 * 1024 * 1024;
/** Largest block of metadata taken unless {@link StreamLimits.maxMetadataBytes} says otherwise: 16 KiB. */
export const defaultMaxMetadataBytes = 16 * 1024;

/** Limits that both sides keep; a breach ends the stream with RESOURCE_EXHAUSTED. */
export interface StreamLimits {
  /** Longest message taken, in bytes after decompression. Default 4 MiB. */
  readonly maxMessageBytes?: number;
  /** Largest block of metadata taken, in bytes as RFC 9113 §6.5.2 counts them. Default 16 KiB. */
  readonly maxMetadataBytes?: number;
}

/** Certificates in PEM. */
export interface ClientTls {
  /** Roots to trust; those of the system when absent. */
  readonly roots?: string;
  readonly certificate?: string;
  readonly privateKey?: string;
  /** Name expected in the server's certificate, and sent as SNI. */
  readonly serverName: string;
}

/** Certificates in PEM. */
export interface ServerTls {
  readonly certificate: string;
  readonly privateKey: string;
  /** When given, a client must show a certificate signed by one of these roots. */
  readonly clientRoots?: string;
}

/**
 * Pings that tell a peer which is silently gone (frozen, or behind a network that drops everything) from one that has nothing to say.
 * When one stays unanswered the connection is given up: its streams end as if it had been lost.
 */
export interface Keepalive {
  /** From one ping's answer to the next ping. A server may complain of a client that pings more often than it allows: see {@link TooManyPings}. */
  readonly timeMs: number;
  /** How long an answer may take. */
  readonly timeoutMs: number;
}

/** What servers that speak gRPC's language take from a client at the most often (gRFC A8): a ping each 10 s, given 10 s for its answer. */
export const defaultKeepalive: Keepalive = { timeMs: 10_000, timeoutMs: 10_000 };

/**
 * Why a connection ended, when the server said that this side pings too often (GOAWAY with ENHANCE_YOUR_CALM and `too_many_pings`).
 * The next connection to it should wait twice as long between pings (gRFC A8).
 */
export class TooManyPings extends Error {
  override readonly name = "TooManyPings";
  constructor() {
    super("the peer complained of too many pings");
  }
}

/** How messages of 1 KiB and more are sent: `gzip` only to a peer that takes it. What comes is taken either way. */
export type Compression = "identity" | "gzip";

export interface ConnectOptions extends StreamLimits {
  readonly host: string;
  readonly port: number;
  /** Plaintext when absent. */
  readonly tls?: ClientTls;
  /** Value of `:authority`; `host:port` when absent. */
  readonly authority?: string;
  /** How long connecting may take. Default 20 s. */
  readonly connectTimeoutMs?: number;
  /** Sent only while a stream is open, so that servers do not complain (gRFC A8). No pings when absent; {@link defaultKeepalive} suits most. */
  readonly keepalive?: Keepalive;
  /** Default `identity`. */
  readonly compression?: Compression;
}

/**
 *   connecting ──> ready ──GOAWAY or dispose──> draining ──last stream──> closed
 *        └────────────┴──────── error ─────────────────────────────────────^
 */
export type ConnectionState =
  | { readonly t: "connecting" }
  | { readonly t: "ready" }
  /** Streams that are open go on; no new one can be opened. `cause` is absent when this side wanted it. */
  | { readonly t: "draining"; readonly cause?: unknown }
  /** `cause` is absent when this side closed it. */
  | { readonly t: "closed"; readonly cause?: unknown };

/** One HTTP/2 connection. Dispose: no new streams, open ones go on until `drainMs` has passed, then the rest ends UNAVAILABLE. */
export interface Connection extends AsyncDisposable {
  readonly state: Watch<ConnectionState>;
  /**
   * Opens a stream at once. On a connection that is not ready the stream ends UNAVAILABLE with `processed: false`.
   * No event is delivered before this returns.
   */
  open(head: RequestHead, events: ClientStreamEvents): ClientStream;
  /** Closes gracefully: see above. `drainMs` defaults to 0. */
  close(drainMs?: number): Promise<void>;
}

export interface RequestHead {
  /** `/package.Service/Method` */
  readonly path: string;
  readonly metadata: Metadata;
  /** Time the server may take, sent as `grpc-timeout`. Milliseconds; the client ends the stream DEADLINE_EXCEEDED by itself too. */
  readonly timeoutMs?: number;
}

/** What happens on a stream, told to the client. Callbacks are synchronous and must not throw. */
export interface ClientStreamEvents {
  /** The response's initial metadata; not called for a trailers-only response. */
  head(metadata: Metadata): void;
  /** One message; the bytes are the receiver's to keep. Only as many come as {@link ClientStream.read} has asked for. */
  message(bytes: Uint8Array): void;
  /** Called exactly once, last, whatever happens. */
  end(outcome: StreamOutcome): void;
  /** After a `write` that returned false: there is room again. */
  writable?(): void;
}

export interface StreamOutcome {
  readonly status: Status;
  readonly trailers: Metadata;
  /**
   * False when the server provably never handed the stream to a handler: refused, above GOAWAY's last stream id, or never sent.
   * Such a stream may always be retried (gRFC A6, transparent retry).
   */
  readonly processed: boolean;
}

/** Memory that a message is written to in place. `SendBuffer` of `@weft/codec` has the same shape. */
export interface MessageBuffer {
  /** What is being filled. Another one after {@link grow}. */
  readonly bytes: Uint8Array;
  /** Where the next byte goes; moved past the message by who writes it. */
  position: number;
  /** Makes `bytes` reach at least `count` bytes beyond `used`, keeping the first `used`. */
  grow(used: number, count: number): void;
}

/** Writes messages into a buffer; a codec of `@weft/codec` is one. */
export interface MessageEncoder<Message> {
  /** Writes the message at the buffer's position and gives the number of its bytes. Must not touch any stream. */
  encodeInto(message: Message, buffer: MessageBuffer): number;
}

export interface ClientStream {
  /** Sends one message. False means the buffer is full: wait for `writable` (writing on is allowed, and buffered). */
  write(message: Uint8Array): boolean;
  /**
   * As `write`, of a message that is encoded straight into the transport's buffer. What the encoder throws goes to the caller, and nothing is sent.
   * Absent in a transport that has no such buffer.
   */
  writeEncoded?<Message>(encoder: MessageEncoder<Message>, message: Message): boolean;
  /** Half-closes: no more messages from this side. */
  end(): void;
  /** Grants `count` more messages. None is delivered before the first call. Back-pressure reaches the peer through flow control. */
  read(count: number): void;
  /** Cancels with RST_STREAM; `events.end` follows with this status unless the stream is over. */
  reset(status: Status): void;
}

export interface ListenOptions extends StreamLimits {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly tls?: ServerTls;
  /** Handlers by path. Any other path is answered UNIMPLEMENTED by the transport. */
  readonly methods: ReadonlyMap<string, StreamHandler>;
  /** Streams at once on one connection. Default 1,000; more are refused, and so may be retried. */
  readonly maxConcurrentStreams?: number;
  /** Ends connections gracefully after this time, ± 10 %; never when absent. */
  readonly maxConnectionAgeMs?: number;
  /** Ends connections gracefully on which no stream was open for this time; never when absent. */
  readonly maxConnectionIdleMs?: number;
  /** Connections at once; more are closed as they come. Default 10,000. */
  readonly maxConnections?: number;
  /** With `tls`: serves clients without TLS on the same port too, told by their first byte. For migration. Default false. */
  readonly allowPlaintext?: boolean;
  /** Of responses, to clients that take it. Default `identity`. */
  readonly compression?: Compression;
  /** Sent to every client, with streams or without (gRFC A9): one that is silently gone holds no stream open. No pings when absent. */
  readonly keepalive?: Keepalive;
}

/** A bound address. Dispose: as `drain(0)`. */
export interface Listener extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Streams whose handlers have not ended. */
  readonly openStreams: number;
  /**
   * Takes no new connection, sends GOAWAY on each open one, and lets streams in flight go on.
   * Resolves when the last has ended, or after `timeoutMs`, when what remains has been ended UNAVAILABLE.
   */
  drain(timeoutMs: number): Promise<void>;
}

/** Takes a new stream and returns who listens to it. No event is delivered before it returns. Throwing ends the stream INTERNAL. */
export type StreamHandler = (stream: ServerStream) => ServerStreamEvents;

/** What happens on a stream, told to the server. Callbacks are synchronous and must not throw. */
export interface ServerStreamEvents {
  /** One message; the bytes are the receiver's to keep. Only as many come as {@link ServerStream.read} has asked for. */
  message(bytes: Uint8Array): void;
  /** The client sends no more messages. */
  halfClose(): void;
  /**
   * The client or the connection went away, its time is up, the head cannot be sent, or a callback threw, before the stream ended: stop working.
   * Called at most once.
   */
  cancel(status: Status): void;
  /** After a `write` that returned false: there is room again. */
  writable?(): void;
}

export interface ServerStream {
  readonly path: string;
  readonly metadata: Metadata;
  /** `grpc-timeout` as received. */
  readonly timeoutMs: number | undefined;
  /** Address of the peer as `host:port`. */
  readonly peer: string;
  /** Sends initial metadata; sent by the first `write` if not called before. */
  sendHead(metadata: Metadata): void;
  /** As {@link ClientStream.write}. After the stream ended it does nothing. */
  write(message: Uint8Array): boolean;
  /** As {@link ClientStream.writeEncoded}. */
  writeEncoded?<Message>(encoder: MessageEncoder<Message>, message: Message): boolean;
  /** As {@link ClientStream.read}. */
  read(count: number): void;
  /** Ends the stream with a status and trailing metadata. Later calls do nothing. */
  end(status: Status, trailers?: Metadata): void;
}
