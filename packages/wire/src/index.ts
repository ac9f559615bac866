export type { ConnectionLimits } from "./connection/limits.js";
export type { PlainHandler, PlainRequest, PlainResponse } from "./grpc/plain-call.js";
export { createGrpcJsTransport } from "./grpc-js/transport.js";
export { createHttp2Transport, type Http2TransportOptions } from "./http2-transport.js";
export { emptyMetadata, type Metadata, type MetadataEntry, metadataBytes, textOf } from "./metadata.js";
export { okStatus, parseStatusCode, type Status, StatusCode, statusName } from "./status.js";
export {
  type ClientStream,
  type ClientStreamEvents,
  type ClientTls,
  type Compression,
  type Connection,
  type ConnectionState,
  type ConnectOptions,
  defaultKeepalive,
  defaultMaxMessageBytes,
  defaultMaxMetadataBytes,
  type Keepalive,
  type Listener,
  type ListenOptions,
  type MessageBuffer,
  type MessageEncoder,
  type RequestHead,
  type ServerStream,
  type ServerStreamEvents,
  type ServerTls,
  type StreamHandler,
  type StreamLimits,
  type StreamOutcome,
  TooManyPings,
  type Transport,
} from "./transport.js";
