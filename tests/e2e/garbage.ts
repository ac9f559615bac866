import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";

/** The answer of a gRPC server to one raw request: its HTTP status and its grpc-status, whichever came. */
export interface RawAnswer {
  readonly httpStatus: number | undefined;
  readonly grpcStatus: number | undefined;
  /** What it says beside its status, as it was sent. */
  readonly grpcMessage: string;
  /** The stream or the connection was reset instead. */
  readonly reset: boolean;
}

/** Sends one request over HTTP/2 as a gRPC client would, with any body and any further headers. */
export function rawGrpc(
  address: string,
  path: string,
  options: { readonly body?: Uint8Array; readonly headers?: Record<string, string> } = {},
): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const session = connectHttp2(`http://${address}`);
    let httpStatus: number | undefined;
    let grpcStatus: number | undefined;
    let grpcMessage = "";
    let reset = false;
    const settle = (): void => {
      clearTimeout(ceiling);
      session.destroy();
      resolve({ httpStatus, grpcStatus, grpcMessage, reset });
    };
    const ceiling = setTimeout(settle, 20_000);
    session.on("error", () => {
      reset = true;
      settle();
    });
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...options.headers,
    });
    const read = (headers: Record<string, unknown>): void => {
      const code = headers["grpc-status"];
      if (code !== undefined) grpcStatus = Number(code);
      grpcMessage = String(headers["grpc-message"] ?? grpcMessage);
    };
    stream.on("response", (headers) => {
      httpStatus = headers[":status"];
      read(headers);
    });
    stream.on("trailers", read);
    stream.on("error", () => {
      reset = true;
    });
    stream.on("close", settle);
    stream.resume();
    stream.end(options.body === undefined ? undefined : Buffer.from(options.body));
  });
}

/** A gRPC message frame: uncompressed, its length in front. */
export function grpcFrame(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(5 + message.length);
  new DataView(frame.buffer).setUint32(1, message.length);
  frame.set(message, 5);
  return frame;
}

/** Writes raw bytes to a port and waits until the server closes, or for a moment. */
export function rawBytes(host: string, port: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const socket = connectTcp(port, host);
    const settle = (): void => {
      clearTimeout(ceiling);
      socket.destroy();
      resolve();
    };
    const ceiling = setTimeout(settle, 500);
    socket.on("error", settle);
    socket.on("close", settle);
    socket.resume();
    socket.write(bytes);
  });
}
