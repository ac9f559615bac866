import {
  type ClientHttp2Session,
  connect,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";

/** A unary call on its way to a participant. */
export interface Call {
  /** `ReserveItems` of `/shop.inventory.v1.InventoryService/ReserveItems`. */
  readonly method: string;
  readonly user: string;
  /** Resolves when whoever called has given up. */
  readonly givenUp: Promise<void>;
  /** Sends it to the participant, also when it was sent before; rejects when no answer comes. */
  deliver(): Promise<Answer>;
}

export interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly trailers: IncomingHttpHeaders;
}

/** Does something about a call; `lost` breaks the caller's connection. Nothing lets it pass. */
export type CallGate = (call: Call) => Promise<Answer | "lost"> | undefined;

/** Stands before one participant. It is unreachable while the participant is dead, as an address of a dead Pod is. */
export interface CallProxy extends AsyncDisposable {
  readonly port: number;
  gate: CallGate | undefined;
  /** Resets every connection and takes no new one. */
  cut(): Promise<void>;
  /** Takes connections again, for the participant on this port. */
  join(participantPort: number): Promise<void>;
}

export async function startCallProxy(participantPort: number): Promise<CallProxy> {
  const proxy = new Http2Proxy();
  await proxy.join(participantPort);
  return proxy;
}

class Http2Proxy implements CallProxy {
  gate: CallGate | undefined;
  port = 0;
  #server: ReturnType<typeof createServer> | undefined;
  #upstream: ClientHttp2Session | undefined;
  #participantPort = 0;
  readonly #sockets = new Set<Socket>();

  async join(participantPort: number): Promise<void> {
    this.#participantPort = participantPort;
    const server = createServer();
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {
        // Told by the closing.
      });
      socket.on("close", () => this.#sockets.delete(socket));
    });
    server.on("sessionError", () => {
      // Told by the closing.
    });
    server.on("stream", (stream, headers) => void this.#serve(stream, headers));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: "127.0.0.1", port: this.port }, resolve);
    });
    const address = server.address();
    if (typeof address !== "object" || address === null) throw new Error("call proxy: no address");
    this.port = address.port;
    this.#server = server;
  }

  async cut(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
    for (const socket of this.#sockets) socket.resetAndDestroy();
    this.#upstream?.destroy();
    this.#upstream = undefined;
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cut();
  }

  async #serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const givenUp = new Promise<void>((resolve) => stream.once("close", () => resolve()));
    stream.on("error", () => {
      // Told by the closing.
    });
    const body = await collect(stream);
    if (body === undefined) return;
    const call: Call = {
      method: String(headers[":path"]).split("/").at(-1) ?? "",
      user: String(headers["weft-user"] ?? ""),
      givenUp,
      deliver: () => this.#deliver(headers, body),
    };
    const answer = await (this.gate?.(call) ?? call.deliver()).catch(() => "lost" as const);
    if (stream.destroyed) return;
    if (answer === "lost") {
      stream.session?.destroy();
      return;
    }
    reply(stream, answer);
  }

  #deliver(headers: IncomingHttpHeaders, body: Buffer): Promise<Answer> {
    if (this.#upstream === undefined || this.#upstream.destroyed || this.#upstream.closed) {
      this.#upstream = connect(`http://127.0.0.1:${this.#participantPort}`);
      this.#upstream.on("error", () => {
        // Each stream tells of it.
      });
    }
    const upstream = this.#upstream;
    return new Promise((resolve, reject) => {
      const { connection, ...sent } = headers;
      const stream = upstream.request(sent);
      let answered: IncomingHttpHeaders = {};
      let trailers: IncomingHttpHeaders = {};
      stream.on("response", (got) => {
        answered = got;
      });
      stream.on("trailers", (got) => {
        trailers = got;
      });
      stream.on("error", reject);
      void collect(stream).then((got) => {
        if (got === undefined || answered[":status"] === undefined) reject(new Error("no answer"));
        else resolve({ headers: answered, body: got, trailers });
      });
      stream.end(body);
    });
  }
}

function reply(stream: ServerHttp2Stream, { headers, body, trailers }: Answer): void {
  const hasTrailers = Object.keys(trailers).length > 0;
  stream.respond({ ...headers }, { waitForTrailers: hasTrailers, endStream: !hasTrailers && body.length === 0 });
  if (hasTrailers) stream.on("wantTrailers", () => stream.sendTrailers({ ...trailers }));
  if (!stream.writableEnded) stream.end(body);
}

/** All that a stream carries; nothing when it breaks before its end. */
function collect(stream: NodeJS.ReadableStream): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.once("end", () => resolve(Buffer.concat(chunks)));
    stream.once("aborted", () => resolve(undefined));
    stream.once("error", () => resolve(undefined));
    stream.once("close", () => resolve(undefined));
  });
}
