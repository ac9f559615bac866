import { type AddressInfo, createServer, type Server as NetServer, type Socket } from "node:net";
import type { Server as TlsServer } from "node:tls";
import { type Clock, type Watch, WatchSource } from "@weft/foundation";
import type { ConnectionEnvironment } from "./connection/connection.js";
import { type ConnectionLimits, defaultLimits } from "./connection/limits.js";
import { WheelTimer } from "./connection/timer-wheel.js";
import { type PlainHandler, ServerConnection, type ServerSettings } from "./server-connection.js";
import { settledWithin } from "./settled-within.js";
import { StatusCode } from "./status.js";
import { createTlsServer, speaksHttp2, tlsFirstByte } from "./tls.js";
import { defaultMaxMessageBytes, defaultMaxMetadataBytes, type Listener, type ListenOptions } from "./transport.js";

const defaultMaxConcurrentStreams = 1_000;
const defaultMaxConnections = 10_000;
/** What a header list holds beside metadata: pseudo-header fields, content-type and the like. */
const ownHeaderBytes = 16 * 1024;
/** How long a connection whose calls are over gets to send its last bytes before it is cut. */
const flushMs = 500;

/** Binds, then serves. Rejects with the system's error when the address cannot be bound. */
export async function listenHttp2(
  options: ListenOptions,
  environment: ConnectionEnvironment,
  more: { readonly limits: Partial<ConnectionLimits>; readonly plainHandler?: PlainHandler | undefined },
): Promise<Listener> {
  const net = createServer({ noDelay: true });
  const listener = new Http2Listener(net, options, environment, more);
  await new Promise<void>((resolve, reject) => {
    net.once("error", reject);
    net.listen({ host: options.host, port: options.port }, () => {
      net.off("error", reject);
      resolve();
    });
  });
  return listener;
}

/**
 * A bound port. What a client's first byte is says whether it speaks TLS.
 *
 *   accepted ──0x16, tls given──> TLS handshake ──h2──> ServerConnection
 *      └─────any other, plaintext taken────────────────────^
 */
class Http2Listener implements Listener {
  readonly #net: NetServer;
  readonly #clock: Clock;
  readonly #options: ListenOptions;
  readonly #environment: ConnectionEnvironment;
  readonly #settings: ServerSettings;
  readonly #tlsServer: TlsServer | undefined;
  readonly #connections = new Set<ServerConnection>();
  /** Sockets on which HTTP/2 has not begun. */
  readonly #greeting = new Set<Socket>();
  readonly #sockets = new Set<Socket>();
  readonly #openConnections = new WatchSource(0);
  readonly #openSockets = new WatchSource(0);
  #openStreams = 0;
  #address: AddressInfo | undefined;
  #isClosing = false;

  constructor(
    net: NetServer,
    options: ListenOptions,
    environment: ConnectionEnvironment,
    more: { readonly limits: Partial<ConnectionLimits>; readonly plainHandler?: PlainHandler | undefined },
  ) {
    this.#net = net;
    this.#clock = environment.clock;
    this.#options = options;
    this.#environment = environment;
    const maxMetadataBytes = options.maxMetadataBytes ?? defaultMaxMetadataBytes;
    this.#settings = {
      methods: options.methods,
      maxMessageBytes: options.maxMessageBytes ?? defaultMaxMessageBytes,
      maxMetadataBytes,
      maxConcurrentStreams: options.maxConcurrentStreams ?? defaultMaxConcurrentStreams,
      maxConnectionAgeMs: options.maxConnectionAgeMs,
      maxConnectionIdleMs: options.maxConnectionIdleMs,
      keepalive: options.keepalive,
      encoding: options.compression ?? "identity",
      plainHandler: more.plainHandler,
      limits: { ...defaultLimits, maxHeaderListBytes: maxMetadataBytes + ownHeaderBytes, ...more.limits },
    };
    this.#tlsServer =
      options.tls === undefined
        ? undefined
        : createTlsServer(options.tls, {
            handshakeTimeoutMs: this.#settings.limits.handshakeTimeoutMs,
            secured: (socket) => {
              if (speaksHttp2(socket)) this.#serve(socket);
              else socket.destroy();
            },
          });
    net.maxConnections = options.maxConnections ?? defaultMaxConnections;
    net.on("connection", (socket) => this.#accept(socket));
    net.on("listening", () => {
      const address = net.address();
      if (typeof address === "object" && address !== null) this.#address = address;
    });
  }

  get host(): string {
    return this.#address?.address ?? this.#options.host;
  }

  get port(): number {
    return this.#address?.port ?? this.#options.port;
  }

  get openStreams(): number {
    return this.#openStreams;
  }

  async drain(timeoutMs: number): Promise<void> {
    if (!this.#isClosing) {
      this.#isClosing = true;
      this.#net.close();
      for (const socket of this.#greeting) socket.destroy();
      for (const connection of [...this.#connections]) connection.drain();
    }
    if (timeoutMs > 0) await this.#none(this.#openConnections, timeoutMs);
    const status = { code: StatusCode.unavailable, message: "the server is shutting down" };
    for (const connection of [...this.#connections]) connection.end(status);
    await this.#none(this.#openSockets, flushMs);
    for (const socket of this.#sockets) socket.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drain(0);
  }

  /** Waits until the count is 0, or the time is over. */
  #none(count: Watch<number>, timeoutMs: number): Promise<void> {
    return settledWithin(count, (left) => left === 0, { timeoutMs, clock: this.#clock });
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    this.#greeting.add(socket);
    this.#openSockets.set(this.#sockets.size);
    const timer = new WheelTimer(this.#environment.wheel, () => socket.destroy());
    timer.set(this.#settings.limits.handshakeTimeoutMs);
    socket.once("close", () => {
      timer.clear();
      this.#greeting.delete(socket);
      this.#sockets.delete(socket);
      this.#openSockets.set(this.#sockets.size);
    });
    // Its connection tells of errors; one before or after concerns nobody.
    socket.on("error", () => {});
    socket.once("data", (chunk: Buffer) => {
      timer.clear();
      this.#greeting.delete(socket);
      socket.pause();
      socket.unshift(chunk);
      if (chunk[0] === tlsFirstByte && this.#tlsServer !== undefined) this.#tlsServer.emit("connection", socket);
      else if (this.#tlsServer === undefined || this.#options.allowPlaintext === true) this.#serve(socket);
      else socket.destroy();
    });
  }

  #serve(socket: Socket): void {
    const connection = new ServerConnection(socket, peerOf(socket), this.#settings, this.#environment, {
      streams: (change) => {
        this.#openStreams += change;
      },
      closed: () => {
        this.#connections.delete(connection);
        this.#openConnections.set(this.#connections.size);
      },
    });
    this.#connections.add(connection);
    this.#openConnections.set(this.#connections.size);
    if (this.#isClosing) connection.drain();
    socket.resume();
  }
}

function peerOf(socket: Socket): string {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined) return "unknown";
  return remoteAddress.includes(":") ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}
