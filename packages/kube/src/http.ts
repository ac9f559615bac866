import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { fromTransport, KubeError } from "./error.js";

/** How to reach an API server and who to be there. */
export interface KubeServer {
  /** `https://host:port`, a path prefix allowed. */
  readonly server: string;
  /** PEM certificates that the server's must descend from; a function is asked at each new connection. Default: the system's. */
  readonly ca?: string | (() => string);
  /** The bearer token, asked for before each request: projected tokens rotate. */
  readonly token?: () => string;
  /** PEM certificate and key of the client. */
  readonly clientCertificate?: { readonly cert: string; readonly key: string };
  /** The name that the server's certificate must carry, when it is not the host of `server`. */
  readonly serverName?: string;
  /** Accepts any server certificate. Only for a kubeconfig that says so itself. */
  readonly insecureSkipTlsVerify?: boolean;
}

export interface HttpCall {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Below the server's address, starting with `/`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  readonly signal?: AbortSignal;
  /** Until the head of the answer is there, and again until its end for {@link Http.send}. Milliseconds. */
  readonly timeoutMs?: number;
}

export interface HttpAnswer {
  readonly code: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly text: string;
}

/** HTTP/1.1 towards one API server, connections kept. */
export interface Http extends AsyncDisposable {
  /** The whole answer, whatever its status. */
  send(call: HttpCall): Promise<HttpAnswer>;
  /** The answer as its head arrives: for watches and logs. Destroy the message to end it. */
  open(call: HttpCall): Promise<IncomingMessage>;
  /** What a WebSocket needs to reach the same server as the same person. */
  socketOptions(path: string): { readonly url: string; readonly headers: Record<string, string>; readonly tls: object };
}

const defaultTimeoutMs = 30_000;
const maxAnswerBytes = 256 * 1024 * 1024;

export function createHttp(options: KubeServer): Http {
  const base = new URL(options.server);
  const secure = base.protocol === "https:";
  const prefix = base.pathname.replace(/\/$/, "");
  const tls = (): object => ({
    ca: typeof options.ca === "function" ? options.ca() : options.ca,
    cert: options.clientCertificate?.cert,
    key: options.clientCertificate?.key,
    rejectUnauthorized: options.insecureSkipTlsVerify !== true,
    ...(options.serverName === undefined ? {} : { servername: options.serverName }),
  });
  const agent = secure
    ? new HttpsAgent({ keepAlive: true, keepAliveMsecs: 15_000, maxCachedSessions: 10 })
    : new HttpAgent({ keepAlive: true, keepAliveMsecs: 15_000 });
  const headers = (): Record<string, string> => {
    const token = options.token?.();
    return token === undefined ? {} : { authorization: `Bearer ${token}` };
  };

  const start = (call: HttpCall, payload: string | undefined): ClientRequest => {
    const search = searchOf(call.query);
    const head = {
      ...headers(),
      accept: call.accept ?? "application/json",
      ...(payload === undefined
        ? {}
        : { "content-type": call.contentType ?? "application/json", "content-length": Buffer.byteLength(payload) }),
    };
    const common = {
      host: base.hostname.replace(/^\[|\]$/g, ""),
      port: base.port === "" ? (secure ? 443 : 80) : Number(base.port),
      method: call.method,
      path: `${prefix}${call.path}${search}`,
      headers: head,
      agent,
    };
    return secure ? httpsRequest({ ...common, ...tls() }) : httpRequest(common);
  };

  const attempt = (call: HttpCall): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const doing = `${call.method} ${call.path}`;
      if (call.signal?.aborted === true) {
        reject(call.signal.reason);
        return;
      }
      const payload = call.body === undefined ? undefined : JSON.stringify(call.body);
      const request = start(call, payload);
      const timeoutMs = call.timeoutMs ?? defaultTimeoutMs;
      const timer = setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
      const onAbort = (): void => void request.destroy(new Error("aborted"));
      call.signal?.addEventListener("abort", onAbort, { once: true });
      const settle = (): void => clearTimeout(timer);
      request.on("socket", (socket) => socket.setKeepAlive(true, 15_000));
      request.on("response", (message) => {
        settle();
        message.once("close", () => call.signal?.removeEventListener("abort", onAbort));
        resolve(message);
      });
      request.on("error", (error) => {
        settle();
        call.signal?.removeEventListener("abort", onAbort);
        if (call.signal?.aborted === true) reject(call.signal.reason);
        else reject(Object.assign(fromTransport(error, doing), { reused: request.reusedSocket }));
      });
      request.end(payload);
    });

  const open = async (call: HttpCall): Promise<IncomingMessage> => {
    try {
      return await attempt(call);
    } catch (error) {
      // A kept connection that the server closed meanwhile: nothing was read, and a GET changes nothing.
      const stale = error instanceof KubeError && "reused" in error && error.reused === true;
      if (call.method !== "GET" || !stale) throw error;
      return await attempt(call);
    }
  };

  return {
    open,
    async send(call) {
      const message = await open(call);
      const text = await readText(message, call);
      return { code: message.statusCode ?? 0, headers: message.headers, text };
    },
    socketOptions(path) {
      const url = new URL(base);
      url.protocol = secure ? "wss:" : "ws:";
      return { url: `${url.protocol}//${url.host}${prefix}${path}`, headers: headers(), tls: tls() };
    },
    async [Symbol.asyncDispose]() {
      agent.destroy();
    },
  };
}

function readText(message: IncomingMessage, call: HttpCall): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const timeoutMs = call.timeoutMs ?? defaultTimeoutMs;
    const timer = setTimeout(() => message.destroy(new Error(`no end within ${timeoutMs} ms`)), timeoutMs);
    const fail = (error: unknown): void => {
      clearTimeout(timer);
      if (call.signal?.aborted === true) reject(call.signal.reason);
      else reject(fromTransport(error, `${call.method} ${call.path}`));
    };
    message.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxAnswerBytes) message.destroy(new Error(`answer longer than ${maxAnswerBytes} bytes`));
      else chunks.push(chunk);
    });
    message.on("end", () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks).toString("utf8"));
    });
    message.on("error", fail);
    message.on("close", () => fail(new Error("connection closed before the end of the answer")));
  });
}

export function searchOf(query: HttpCall["query"]): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) search.set(name, String(value));
  const text = search.toString();
  return text === "" ? "" : `?${text}`;
}

/** The lines of a byte stream, grouped as they arrived; the last line needs no end. */
export async function* lineBatches(
  message: AsyncIterable<Buffer>,
  maxLineBytes: number,
): AsyncIterable<readonly string[]> {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  for await (const chunk of message) {
    const end = chunk.lastIndexOf(0x0a);
    if (end < 0) {
      pending.push(chunk);
      pendingBytes += chunk.length;
      if (pendingBytes > maxLineBytes) throw new Error(`line longer than ${maxLineBytes} bytes`);
      continue;
    }
    const whole = Buffer.concat([...pending, chunk.subarray(0, end)]).toString("utf8");
    pending = end + 1 < chunk.length ? [chunk.subarray(end + 1)] : [];
    pendingBytes = chunk.length - end - 1;
    yield whole.split("\n");
  }
  if (pendingBytes > 0) yield [Buffer.concat(pending).toString("utf8")];
}
