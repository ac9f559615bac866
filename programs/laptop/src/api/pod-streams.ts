import type { IncomingMessage, ServerResponse } from "node:http";
import { type Duplex, pipeline } from "node:stream";
import type { Clock } from "@weft/foundation";
import { type WebSocket, WebSocketServer } from "ws";
import { listAt, textAt } from "../kinds/path.js";
import type { Json } from "../kinds/resource-kind.js";
import { type PodAccess, type PodIdentity, PodUnavailable } from "../pod-access.js";
import { badRequest } from "./status.js";

/** The two ways into a Pod: `pods/log` and `pods/portforward`. */

function identityOf(pod: Json): PodIdentity {
  return {
    namespace: textAt(pod, "metadata", "namespace"),
    name: textAt(pod, "metadata", "name"),
    uid: textAt(pod, "metadata", "uid"),
  };
}

/** Streams a container's log. Throws 400 for a container that isn't there or has none yet. */
export async function sendLog(options: {
  readonly response: ServerResponse;
  readonly pod: Json;
  readonly query: URLSearchParams;
  readonly access: PodAccess;
  readonly clock: Clock;
}): Promise<void> {
  const { response, pod, query, access, clock } = options;
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  const tail = count(query, "tailLines");
  const since = count(query, "sinceSeconds");
  const sinceTime = query.get("sinceTime");
  const sinceMs =
    sinceTime === null ? (since === undefined ? undefined : clock.wallMs() - since * 1_000) : Date.parse(sinceTime);
  const limitBytes = count(query, "limitBytes");
  const log = await orBadRequest(
    access.logs(identityOf(pod), {
      container: containerOf(pod, query.get("container") ?? ""),
      follow: query.get("follow") === "true",
      previous: query.get("previous") === "true",
      timestamps: query.get("timestamps") === "true",
      tailLines: tail,
      sinceMs,
      signal: gone.signal,
    }),
  );
  response.writeHead(200, { "content-type": "text/plain", "cache-control": "no-cache, private" });
  response.flushHeaders();
  if (limitBytes === undefined) {
    // Either side may go first; both are ended.
    pipeline(log, response, () => {});
    return;
  }
  let left = limitBytes;
  for await (const chunk of log) {
    const bytes = Buffer.from(chunk).subarray(0, left);
    left -= bytes.length;
    response.write(bytes);
    if (left <= 0) break;
  }
  response.end();
}

async function orBadRequest<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof PodUnavailable) throw badRequest(error.message);
    throw error;
  }
}

function count(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw badRequest(`${name}: Invalid value: ${JSON.stringify(text)}: must be a whole number, not below 0`);
  return value;
}

function containerOf(pod: Json, asked: string): string {
  const names = [...listAt(pod, "spec", "containers"), ...listAt(pod, "spec", "initContainers")].map((container) =>
    textAt(container, "name"),
  );
  const name = textAt(pod, "metadata", "name");
  if (asked !== "") {
    if (names.includes(asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${name}`);
  }
  const [only, ...more] = names;
  const preferred = textAt(pod, "metadata", "annotations", "kubectl.kubernetes.io/default-container");
  if (preferred !== "") return preferred;
  if (only !== undefined && more.length === 0) return only;
  throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${names.join(" ")}]`);
}

const protocols = ["v4.channel.k8s.io", "portforward.k8s.io"];

/** Bytes on their way to a slow peer, above which the other side is not read. */
const highWater = 1024 * 1024;

/**
 * `pods/portforward` over WebSocket. For the n-th port asked, channel 2n carries data and 2n+1 an error text; each begins with the port in
 * two bytes, little endian.
 */
export function createPortForwarder(access: PodAccess): {
  forward(request: IncomingMessage, socket: Duplex, head: Buffer, pod: Json, query: URLSearchParams): void;
} & Disposable {
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: 32 * 1024 * 1024,
    handleProtocols: (offered) => protocols.find((protocol) => offered.has(protocol)) ?? false,
  });
  return {
    forward(request, socket, head, pod, query) {
      const ports = query
        .getAll("ports")
        .flatMap((text) => text.split(","))
        .map(Number);
      if (
        ports.length === 0 ||
        ports.length > 64 ||
        ports.some((port) => !Number.isInteger(port) || port < 1 || port > 65_535)
      ) {
        throw badRequest('query parameter "ports": one to 64 port numbers are needed');
      }
      server.handleUpgrade(request, socket, head, (peer) => {
        const closed = new AbortController();
        peer.on("close", () => closed.abort());
        // An error is followed by a close.
        peer.on("error", () => {});
        const channels = ports.map((port, index) =>
          openChannel(peer, index, port, access, identityOf(pod), closed.signal),
        );
        peer.on("message", (data) => {
          const message = Buffer.isBuffer(data)
            ? data
            : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)]);
          const channel = message[0];
          if (channel === undefined || channel % 2 === 1) return;
          channels[channel / 2]?.write(message.subarray(1));
        });
      });
    },
    [Symbol.dispose]() {
      for (const peer of server.clients) peer.terminate();
      server.close();
    },
  };
}

function openChannel(
  peer: WebSocket,
  index: number,
  port: number,
  access: PodAccess,
  pod: PodIdentity,
  signal: AbortSignal,
): { write(bytes: Buffer): void } {
  const dataChannel = Buffer.of(index * 2);
  const errorChannel = Buffer.of(index * 2 + 1);
  const header = Buffer.alloc(2);
  header.writeUInt16LE(port);
  peer.send(Buffer.concat([dataChannel, header]));
  peer.send(Buffer.concat([errorChannel, header]));
  // What arrives before the connection stands.
  let early: Buffer[] = [];
  let connection: Duplex | undefined;
  const fail = (error: unknown): void => {
    const why = error instanceof Error ? error.message : String(error);
    if (peer.readyState !== peer.OPEN) return;
    peer.send(Buffer.concat([errorChannel, Buffer.from(`an error occurred forwarding ${port}: ${why}`)]));
    peer.close(1000);
  };
  access.connect(pod, port, signal).then((opened) => {
    connection = opened;
    signal.addEventListener("abort", () => opened.destroy(), { once: true });
    if (signal.aborted) opened.destroy();
    for (const bytes of early) opened.write(bytes);
    early = [];
    opened.on("data", (chunk: Buffer) => {
      peer.send(Buffer.concat([dataChannel, chunk]), () => {
        if (peer.bufferedAmount < highWater && opened.isPaused()) opened.resume();
      });
      if (peer.bufferedAmount >= highWater) opened.pause();
    });
    opened.on("drain", () => peer.resume());
    opened.on("error", fail);
    opened.on("close", () => peer.close(1000));
  }, fail);
  return {
    write(bytes) {
      if (bytes.length === 0) return;
      if (connection === undefined) early.push(bytes);
      else if (!connection.write(bytes)) peer.pause();
    },
  };
}
