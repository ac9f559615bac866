import { type Attributes, type Span, SpanStatusCode } from "@opentelemetry/api";
import { type Status, StatusCode } from "@weft/wire";

/** Names of OpenTelemetry's semantic conventions for gRPC, and ours. */
export const attr = {
  system: "rpc.system",
  service: "rpc.service",
  method: "rpc.method",
  statusCode: "rpc.grpc.status_code",
  serverAddress: "server.address",
  serverPort: "server.port",
  peerAddress: "network.peer.address",
  peerPort: "network.peer.port",
  attempt: "weft.attempt",
} as const;

/** A method path without its leading slash: the span's name, and `grpc.method` of metrics. */
export function methodName(path: string): string {
  return path.startsWith("/") ? path.slice(1) : path;
}

export function methodAttributes(path: string): Attributes {
  const name = methodName(path);
  const slash = name.lastIndexOf("/");
  return {
    [attr.system]: "grpc",
    [attr.service]: slash < 0 ? "" : name.slice(0, slash),
    [attr.method]: name.slice(slash + 1),
  };
}

/** `host:port`, an IPv6 host in brackets, as peer attributes. */
export function peerAttributes(peer: string): Attributes {
  const colon = peer.lastIndexOf(":");
  if (colon < 0) return { [attr.peerAddress]: peer };
  return {
    [attr.peerAddress]: peer.slice(0, colon).replace(/^\[(.*)\]$/, "$1"),
    [attr.peerPort]: Number(peer.slice(colon + 1)),
  };
}

/** Codes that tell of a fault of the server, by the conventions; to the client every code but OK is an error. */
const serverFaults: ReadonlySet<StatusCode> = new Set([
  StatusCode.unknown,
  StatusCode.deadlineExceeded,
  StatusCode.unimplemented,
  StatusCode.internal,
  StatusCode.unavailable,
  StatusCode.dataLoss,
]);

/** Writes how the call ended on its span, and ends that. */
export function endSpan(span: Span, status: Status, side: "client" | "server"): void {
  span.setAttribute(attr.statusCode, status.code);
  const isError = side === "server" ? serverFaults.has(status.code) : status.code !== StatusCode.ok;
  if (isError) span.setStatus({ code: SpanStatusCode.ERROR, message: status.message });
  span.end();
}
