/** Names that HTTP/2 or gRPC itself uses: sending one of them as metadata would break the stream or the whole connection. */
const transportNames = new Set([
  "te",
  "content-type",
  "content-length",
  "host",
  "date",
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
  "accept-encoding",
]);

/** Names of gRFC A6 that look like the transport's and belong to whoever makes the retries. */
const retryNames = new Set(["grpc-previous-rpc-attempts", "grpc-retry-pushback-ms"]);

/** Whether a name is the transport's: see the doc of `Metadata`. */
export function isTransportName(name: string): boolean {
  return (name.startsWith("grpc-") && !retryNames.has(name)) || name.startsWith(":") || transportNames.has(name);
}
