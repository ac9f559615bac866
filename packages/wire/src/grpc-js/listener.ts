import { type AddressInfo, createServer, type Server as NetServer, type Socket } from "node:net";
import { Server, ServerCredentials, ServerInterceptingCall, type ServerOptions } from "@grpc/grpc-js";
import { type Clock, type Watch, WatchSource } from "@weft/foundation";
import { settledWithin } from "../settled-within.js";
import { StatusCode } from "../status.js";
import {
  defaultMaxMessageBytes,
  defaultMaxMetadataBytes,
  type Listener,
  type ListenOptions,
  type ServerTls,
} from "../transport.js";
import { keepaliveOptions } from "./keepalive.js";
import { GrpcJsServerStream } from "./server-stream.js";

const defaultMaxConcurrentStreams = 1_000;
/** How long a connection whose streams are over gets to send its last bytes before it is cut. */
const flushMs = 500;

/**
 * Binds, then serves each connection with a grpc-js server. The listening socket is ours: then binding fails with the system's error,
 * and a drain can cut what does not end (grpc-js loses sight of its sessions when channelz is off).
 */
export async function listenGrpcJs(options: ListenOptions, clock: Clock): Promise<Listener> {
  const net = createServer({ noDelay: true });
  const listener = new GrpcJsListener(net, options, clock);
  await new Promise<void>((resolve, reject) => {
    net.once("error", reject);
    net.listen({ host: options.host, port: options.port }, () => {
      net.off("error", reject);
      resolve();
    });
  });
  return listener;
}

class GrpcJsListener implements Listener {
  readonly #net: NetServer;
  readonly #clock: Clock;
  readonly #options: ListenOptions;
  readonly #injector: ReturnType<Server["createConnectionInjector"]>;
  readonly #streams = new Set<GrpcJsServerStream>();
  readonly #sockets = new Set<Socket>();
  readonly #openStreams = new WatchSource(0);
  readonly #openSockets = new WatchSource(0);
  #address: AddressInfo | undefined;
  #closing = false;

  constructor(net: NetServer, options: ListenOptions, clock: Clock) {
    this.#net = net;
    this.#clock = clock;
    this.#options = options;
    const server = new Server(this.#serverOptions());
    // The handlers of grpc-js are never reached: the interceptor takes each call before them.
    for (const path of options.methods.keys()) server.register(path, () => {}, asIs, asIs, "bidi");
    this.#injector = server.createConnectionInjector(credentialsOf(options.tls));
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
    return this.#streams.size;
  }

  async drain(timeoutMs: number): Promise<void> {
    if (!this.#closing) {
      this.#closing = true;
      this.#net.close();
      // Sends GOAWAY on each session; those end with their last stream.
      this.#injector.destroy();
    }
    await this.#none(this.#openStreams, timeoutMs);
    const status = { code: StatusCode.unavailable, message: "the server is shutting down" };
    for (const stream of [...this.#streams]) stream.abort(status);
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
    this.#openSockets.set(this.#sockets.size);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#openSockets.set(this.#sockets.size);
    });
    // Its session tells of errors; one after the session is gone concerns nobody.
    socket.on("error", () => {});
    this.#injector.injectConnection(socket);
  }

  #serverOptions(): ServerOptions {
    const { keepalive, maxConnectionAgeMs, methods } = this.#options;
    const maxMetadataBytes = this.#options.maxMetadataBytes ?? defaultMaxMetadataBytes;
    return {
      "grpc.max_receive_message_length": this.#options.maxMessageBytes ?? defaultMaxMessageBytes,
      "grpc.max_send_message_length": -1,
      "grpc.max_concurrent_streams": this.#options.maxConcurrentStreams ?? defaultMaxConcurrentStreams,
      "grpc.enable_channelz": 0,
      ...(maxConnectionAgeMs === undefined ? {} : { "grpc.max_connection_age_ms": maxConnectionAgeMs }),
      ...keepaliveOptions(keepalive),
      interceptors: [
        (method, call) =>
          new ServerInterceptingCall(call, {
            // Not calling `next` keeps grpc-js's own reading and its streams out of the way.
            start: () => {
              const handler = methods.get(method.path);
              if (handler === undefined) return;
              const stream = new GrpcJsServerStream({
                path: method.path,
                call,
                onEnd: () => this.#streamEnded(stream),
              });
              this.#streams.add(stream);
              this.#openStreams.set(this.#streams.size);
              stream.start(handler, maxMetadataBytes);
            },
          }),
      ],
    };
  }

  #streamEnded(stream: GrpcJsServerStream): void {
    this.#streams.delete(stream);
    this.#openStreams.set(this.#streams.size);
  }
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}

function credentialsOf(tls: ServerTls | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const roots = tls.clientRoots === undefined ? null : Buffer.from(tls.clientRoots);
  const pair = { private_key: Buffer.from(tls.privateKey), cert_chain: Buffer.from(tls.certificate) };
  return ServerCredentials.createSsl(roots, [pair], tls.clientRoots !== undefined);
}
