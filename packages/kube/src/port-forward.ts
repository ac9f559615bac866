import { Duplex } from "node:stream";
import { WebSocket } from "ws";
import { KubeError } from "./error.js";
import type { Http } from "./http.js";
import type { ObjectRef } from "./object.js";

/** The first byte of each message names the channel: data and error of the one port that we ask for. */
const channel = { data: 0, error: 1 } as const;

/** Upstream's newest name first; both frame messages alike. */
const protocols = ["v4.channel.k8s.io", "portforward.k8s.io"];

/**
 * One connection to a port of a Pod over the API server's WebSocket (`v4.channel.k8s.io`).
 * Each channel begins with two bytes that repeat the port. An error on the error channel ends the connection with that text.
 */
export function openPortForward(http: Http, pod: ObjectRef, port: number, signal?: AbortSignal): Promise<Duplex> {
  const namespace = encodeURIComponent(pod.namespace ?? "default");
  const path = `/api/v1/namespaces/${namespace}/pods/${encodeURIComponent(pod.name)}/portforward?ports=${port}`;
  const { url, headers, tls } = http.socketOptions(path);
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason);
      return;
    }
    const socket = new WebSocket(url, protocols, { headers, ...tls, perMessageDeflate: false });
    const onAbort = (): void => socket.terminate();
    signal?.addEventListener("abort", onAbort, { once: true });
    const stop = (): void => signal?.removeEventListener("abort", onAbort);
    socket.once("close", stop);
    socket.once("open", () => resolve(streamOf(socket, pod, port)));
    socket.once("unexpected-response", (_request, response) => {
      response.resume();
      socket.terminate();
      const code = response.statusCode ?? 0;
      reject(new KubeError(`port-forward to ${pod.name}: HTTP ${code}`, { code, reason: "Refused" }));
    });
    socket.once("error", (error) => {
      stop();
      if (signal?.aborted === true) reject(signal.reason);
      else
        reject(
          new KubeError(`port-forward to ${pod.name}: ${error.message}`, {
            code: 0,
            reason: "Unreachable",
            cause: error,
          }),
        );
    });
  });
}

function streamOf(socket: WebSocket, pod: ObjectRef, port: number): Duplex {
  const begun = new Set<number>();
  const stream = new Duplex({
    read() {
      socket.resume();
    },
    write(chunk: Buffer, _encoding, done) {
      socket.send(Buffer.concat([Buffer.of(channel.data), chunk]), (error) => done(error));
    },
    final(done) {
      // The channel protocol has no half close: the peer sees the end when the connection closes.
      socket.close(1000);
      done();
    },
    destroy(error, done) {
      socket.terminate();
      done(error);
    },
  });
  // A refusal may come before whoever asked for the stream has it in hand; it stays readable as `errored`.
  stream.on("error", () => {});
  socket.on("message", (data) => {
    const message = Buffer.isBuffer(data) ? data : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)]);
    const id = message[0];
    if (id === undefined) return;
    let payload = message.subarray(1);
    if (!begun.has(id)) {
      begun.add(id);
      payload = payload.subarray(2);
    }
    if (payload.length === 0) return;
    if (id === channel.error) {
      stream.destroy(
        new KubeError(`port-forward to ${pod.name}:${port}: ${payload.toString("utf8")}`, {
          code: 0,
          reason: "Unreachable",
        }),
      );
    } else if (id === channel.data && !stream.push(payload)) socket.pause();
  });
  socket.on("close", () => {
    if (!stream.destroyed) stream.push(null);
  });
  socket.on("error", (error) => stream.destroy(error));
  return stream;
}
