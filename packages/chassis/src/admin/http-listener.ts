import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A small HTTP answer. */
export interface Answer {
  readonly status: number;
  readonly body: string;
  /** Default `application/json`. */
  readonly contentType?: string;
}

/** What is asked: method, path and query of a request. Bodies are not read. */
export interface Question {
  readonly method: string;
  readonly url: URL;
  readonly request: IncomingMessage;
}

export type Responder = (question: Question) => Answer | Promise<Answer>;

export type Address = { readonly t: "tcp"; readonly host: string; readonly port: number } | SocketAddress;
export interface SocketAddress {
  readonly t: "socket";
  readonly path: string;
}

/** A bound HTTP server. Dispose: closes it and every connection. */
export interface HttpListener extends AsyncDisposable {
  /** The bound port; 0 for a socket. */
  readonly port: number;
}

/** The answer to a path that is not there. */
export const notFound: Answer = { status: 404, body: json({ error: "not found" }) };

/** JSON for an {@link Answer}; bigints become text. */
export function json(value: unknown): string {
  return `${JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? inner.toString() : inner), 2)}\n`;
}

/** Binds an address and answers each request by `respond`; one that throws gives 500. Rejects with the system's error when it can't bind. */
export async function listenHttp(address: Address, respond: Responder): Promise<HttpListener> {
  const server = createServer((request, response) => void answer(request, response, respond));
  server.requestTimeout = 10_000;
  server.keepAliveTimeout = 30_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    const bound = (): void => {
      server.off("error", reject);
      resolve();
    };
    if (address.t === "tcp") server.listen(address.port, address.host, bound);
    else server.listen(address.path, bound);
  });
  let closed: Promise<void> | undefined;
  return {
    port: portOf(server.address()),
    [Symbol.asyncDispose]() {
      closed ??= new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      return closed;
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, respond: Responder): Promise<void> {
  let result: Answer;
  try {
    const url = new URL(request.url ?? "/", "http://localhost");
    result = await respond({ method: request.method ?? "GET", url, request });
  } catch {
    // The detail belongs to who asked for the work, not to a port that anyone in the cluster can reach.
    result = { status: 500, body: json({ error: "internal error" }) };
  }
  response.writeHead(result.status, {
    "content-type": result.contentType ?? "application/json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(request.method === "HEAD" ? undefined : result.body);
}

function portOf(address: string | AddressInfo | null): number {
  return typeof address === "object" && address !== null ? address.port : 0;
}
