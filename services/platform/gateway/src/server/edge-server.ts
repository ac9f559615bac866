import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import {
  constants,
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from "node:http2";
import type { Socket } from "node:net";
import { type Clock, sleep } from "@weft/foundation";

export type EdgeRequest = IncomingMessage | Http2ServerRequest;
export type EdgeResponse = ServerResponse | Http2ServerResponse;

export interface EdgeServerOptions {
  readonly host: string;
  readonly port: number;
  readonly maxHeaderBytes: number;
  readonly maxConnections: number;
  /** How long a client may take to say something at first, to send its headers, and to send its body. */
  readonly readTimeoutMs: number;
  readonly clock: Clock;
  handle(request: EdgeRequest, response: EdgeResponse): void;
}

/** HTTP/1.1 and HTTP/2 without TLS on one port: a connection's first bytes tell them apart. */
export interface EdgeServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /**
   * Serves on, new connections too, and has clients leave by themselves: HTTP/1.1 by `connection: close` in the next answer, HTTP/2 by a
   * GOAWAY that refuses nothing yet (RFC 9113 §6.8). A connection that is closed while it lies idle may lose the request that is on its way.
   */
  retire(): void;
  /** Accepts nothing new and resolves when no request is under way, or after `timeoutMs`. */
  drain(timeoutMs: number): Promise<void>;
}

/** HTTP/2 connections begin with `PRI`, and no method of HTTP/1.1 does. */
const http2Preface = Buffer.from("PRI");
const maxStreams = 100;
const maxStreamId = 2 ** 31 - 1;

/** Opens the port. Rejects when it is taken. */
export async function openEdgeServer(options: EdgeServerOptions): Promise<EdgeServer> {
  const { clock, maxHeaderBytes, readTimeoutMs } = options;
  const sockets = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  const underWay = new Set<EdgeResponse>();
  const idle = new Set<() => void>();
  let retired = false;
  let draining = false;

  const onRequest = (request: EdgeRequest, response: EdgeResponse): void => {
    underWay.add(response);
    const slow = clock.after(readTimeoutMs, () => request.destroy());
    request.once("end", () => slow[Symbol.dispose]());
    request.on("error", () => {
      // The connection broke: whoever reads the request hears of it too.
    });
    response.once("close", () => {
      slow[Symbol.dispose]();
      underWay.delete(response);
      if (underWay.size === 0) for (const wake of idle) wake();
    });
    if (retired && "shouldKeepAlive" in response) response.shouldKeepAlive = false;
    options.handle(request, response);
  };

  const http1 = createServer(
    {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: readTimeoutMs,
      requestTimeout: readTimeoutMs,
      keepAliveTimeout: 60_000,
    },
    onRequest,
  );
  http1.maxConnections = options.maxConnections;
  const http2 = createHttp2Server(
    { settings: { maxHeaderListSize: maxHeaderBytes, maxConcurrentStreams: maxStreams }, maxSessionMemory: 4 },
    onRequest,
  );
  http2.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    if (draining) session.close();
    else if (retired) session.goaway(constants.NGHTTP2_NO_ERROR, maxStreamId);
  });
  http2.on("sessionError", () => {
    // A peer that breaks the protocol loses its connection; there is nobody else to tell.
  });

  const http1Listeners = http1.listeners("connection");
  http1.removeAllListeners("connection");
  http1.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    tellProtocol(socket, readTimeoutMs, (isHttp2) => {
      if (isHttp2) http2.emit("connection", socket);
      else for (const listener of http1Listeners) Reflect.apply(listener, http1, [socket]);
    });
  });

  await new Promise<void>((resolve, reject) => {
    http1.once("error", reject);
    http1.listen(options.port, options.host, () => {
      http1.off("error", reject);
      resolve();
    });
  });
  const address = http1.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;

  const retire = (): void => {
    if (retired) return;
    retired = true;
    for (const response of underWay) if ("shouldKeepAlive" in response) response.shouldKeepAlive = false;
    for (const session of sessions) session.goaway(constants.NGHTTP2_NO_ERROR, maxStreamId);
  };

  const close = (): void => {
    if (draining) return;
    retire();
    draining = true;
    http1.close();
    http1.closeIdleConnections();
    for (const session of sessions) session.close();
  };

  return {
    host: options.host,
    port,
    retire,
    async drain(timeoutMs) {
      close();
      const stop = new AbortController();
      const emptied = new Promise<void>((resolve) => {
        const check = (): void => {
          if (underWay.size === 0) resolve();
        };
        idle.add(check);
        check();
      });
      await Promise.race([emptied, sleep(timeoutMs, { clock, signal: stop.signal }).catch(() => {})]);
      stop.abort();
    },
    async [Symbol.asyncDispose]() {
      close();
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
      http1.closeAllConnections();
      await new Promise<void>((resolve) => {
        if (http1.listening) http1.once("close", resolve);
        else resolve();
      });
    },
  };
}

/** Looks at a connection's first bytes and leaves them to be read. */
function tellProtocol(socket: Socket, timeoutMs: number, tell: (isHttp2: boolean) => void): void {
  let seen = Buffer.alloc(0);
  const giveUp = (): void => {
    socket.destroy();
  };
  const look = (): void => {
    const chunk: unknown = socket.read();
    if (!Buffer.isBuffer(chunk)) return;
    seen = Buffer.concat([seen, chunk]);
    const length = Math.min(seen.length, http2Preface.length);
    const maybeHttp2 = seen.subarray(0, length).equals(http2Preface.subarray(0, length));
    if (maybeHttp2 && length < http2Preface.length) return;
    socket.off("readable", look);
    socket.off("timeout", giveUp);
    socket.setTimeout(0);
    socket.unshift(seen);
    tell(maybeHttp2);
  };
  socket.setTimeout(timeoutMs);
  socket.once("timeout", giveUp);
  socket.on("readable", look);
}
