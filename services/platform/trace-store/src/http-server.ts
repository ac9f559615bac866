import { createServer, type RequestListener } from "node:http";

/** A bound HTTP server. */
export interface HttpServer extends AsyncDisposable {
  readonly port: number;
  /** Takes no new connection and lets requests in flight end, for at most `timeoutMs`. */
  drain(timeoutMs: number): Promise<void>;
}

/** Binds an address; rejects with the system's error when it can't. Slow senders are cut off. */
export async function listenHttp(options: {
  readonly host: string;
  readonly port: number;
  readonly respond: RequestListener;
}): Promise<HttpServer> {
  const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, options.respond);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const address = server.address();
  let closed: Promise<void> | undefined;
  const close = (timeoutMs: number): Promise<void> => {
    closed ??= new Promise((resolve) => {
      const late = setTimeout(() => server.closeAllConnections(), timeoutMs);
      server.close(() => {
        clearTimeout(late);
        resolve();
      });
      server.closeIdleConnections();
    });
    return closed;
  };
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    drain: close,
    async [Symbol.asyncDispose]() {
      const closing = close(0);
      server.closeAllConnections();
      await closing;
    },
  };
}
