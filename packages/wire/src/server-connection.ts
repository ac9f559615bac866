import type { Duplex } from "node:stream";
import { type ConnectionEnvironment, type ConnectionOwner, Http2Connection } from "./connection/connection.js";
import type { ConnectionLimits } from "./connection/limits.js";
import { WheelTimer } from "./connection/timer-wheel.js";
import { ErrorCode } from "./frame/error-code.js";
import { acceptedEncodings, type Encoding, parseEncoding } from "./grpc/compression.js";
import { PlainCall, type PlainHandler } from "./grpc/plain-call.js";
import { RequestHead } from "./grpc/request-head.js";
import { ResponseTemplates, ServerCall } from "./grpc/server-call.js";
import type { FieldSection } from "./hpack/field-section.js";
import { metadataBytes } from "./metadata.js";
import { type Status, StatusCode } from "./status.js";
import type { Http2Stream } from "./stream/stream.js";
import type { Keepalive, StreamHandler } from "./transport.js";

export type { PlainHandler };

/** What all connections of a listener go by. */
export interface ServerSettings {
  readonly methods: ReadonlyMap<string, StreamHandler>;
  readonly maxMessageBytes: number;
  readonly maxMetadataBytes: number;
  readonly maxConcurrentStreams: number;
  readonly maxConnectionAgeMs: number | undefined;
  readonly maxConnectionIdleMs: number | undefined;
  readonly keepalive: Keepalive | undefined;
  readonly encoding: Encoding;
  readonly plainHandler: PlainHandler | undefined;
  readonly limits: ConnectionLimits;
}

/** The listener, as far as its connections need it. */
interface ServerConnectionOwner {
  /** So many more streams are with handlers; fewer when negative. */
  streams(change: number): void;
  closed(): void;
}

/** One client: gives each request to its method's handler, and answers what no handler takes. */
export class ServerConnection implements ConnectionOwner {
  readonly #settings: ServerSettings;
  readonly #owner: ServerConnectionOwner;
  readonly #http2: Http2Connection;
  readonly #templates = new ResponseTemplates();
  readonly #peer: string;
  readonly #ageTimer: WheelTimer;
  readonly #idleTimer: WheelTimer;
  readonly #onEnd = (): void => this.#owner.streams(-1);

  constructor(
    socket: Duplex,
    peer: string,
    settings: ServerSettings,
    environment: ConnectionEnvironment,
    owner: ServerConnectionOwner,
  ) {
    this.#settings = settings;
    this.#owner = owner;
    this.#peer = peer;
    this.#ageTimer = new WheelTimer(environment.wheel, () => this.drain());
    this.#idleTimer = new WheelTimer(environment.wheel, () => this.drain());
    this.#http2 = new Http2Connection({
      socket,
      isServer: true,
      owner: this,
      limits: settings.limits,
      environment,
      maxConcurrentStreams: settings.maxConcurrentStreams,
      keepalive: settings.keepalive,
    });
    const { maxConnectionAgeMs } = settings;
    // ± 10 %, so that clients that came together do not all come back together (gRFC A9).
    if (maxConnectionAgeMs !== undefined) this.#ageTimer.set(maxConnectionAgeMs * (0.9 + Math.random() * 0.2));
    this.idle();
  }

  /** Takes no new requests, and closes when none is open. */
  drain(): void {
    this.#http2.drain();
  }

  /** Ends every open call with this status, and closes. */
  end(status: Status): void {
    for (const stream of this.#http2.streams.all()) {
      if (stream.receiver instanceof ServerCall) stream.receiver.abort(status);
    }
    this.#http2.flushAndFinish();
  }

  // What the connection tells (ConnectionOwner).

  ready(): void {}

  request(_streamId: number, section: FieldSection): Http2Stream {
    const head = RequestHead.of(section);
    const isGrpc = head.contentType.startsWith("application/grpc");
    if (!isGrpc && this.#settings.plainHandler !== undefined) {
      return new PlainCall(this.#http2, this.#settings.plainHandler, section).stream;
    }
    const call = new ServerCall(
      {
        connection: this.#http2,
        templates: this.#templates,
        peer: this.#peer,
        maxMessageBytes: this.#settings.maxMessageBytes,
        encoding: this.#settings.encoding,
        onEnd: this.#onEnd,
      },
      head,
    );
    this.#owner.streams(1);
    return call.stream;
  }

  begin(stream: Http2Stream, section: FieldSection, endStream: boolean): void {
    this.#idleTimer.clear();
    const head = RequestHead.of(section);
    const { receiver } = stream;
    if (head.breach !== undefined || (!head.isComplete && !section.tooLarge)) {
      this.#http2.breakStream(stream, ErrorCode.protocolError);
      receiver.closed({ t: "broken", code: ErrorCode.protocolError, message: head.breach ?? "incomplete head" });
      return;
    }
    stream.expectLength(head.contentLength);
    if (receiver instanceof ServerCall) this.#call(receiver, head, section, endStream);
    else if (receiver instanceof PlainCall) receiver.start(endStream);
  }

  goaway(): void {}

  idle(): void {
    const { maxConnectionIdleMs } = this.#settings;
    if (maxConnectionIdleMs !== undefined) this.#idleTimer.set(maxConnectionIdleMs);
  }

  closed(): void {
    this.#ageTimer.clear();
    this.#idleTimer.clear();
    this.#owner.closed();
  }

  #call(call: ServerCall, head: RequestHead, section: FieldSection, endStream: boolean): void {
    const encoding = parseEncoding(head.encoding);
    const handler = this.#settings.methods.get(head.path);
    if (section.tooLarge || metadataBytes(head.metadata) > this.#settings.maxMetadataBytes) {
      call.end({ code: StatusCode.resourceExhausted, message: "request metadata is larger than allowed" });
    } else if (head.method !== "POST") {
      call.refuse("405");
    } else if (!head.contentType.startsWith("application/grpc")) {
      call.refuse("415");
    } else if (handler === undefined) {
      call.end({ code: StatusCode.unimplemented, message: `unknown method ${head.path}` });
    } else if (head.isTimeoutBroken) {
      call.end({ code: StatusCode.internal, message: "grpc-timeout is not a timeout" });
    } else if (encoding === undefined) {
      const message = `grpc-encoding ${JSON.stringify(head.encoding)} is not supported`;
      call.end({ code: StatusCode.unimplemented, message }, [], ["grpc-accept-encoding", acceptedEncodings]);
    } else {
      call.start(handler, encoding, endStream);
    }
  }
}
