export { createGrpcJsTransport } from "./grpc-js/transport.js";
export { emptyMetadata, type Metadata, type MetadataEntry, metadataBytes, textOf } from "./metadata.js";
export { okStatus, parseStatusCode, type Status, StatusCode, statusName } from "./status.js";
export {
  type ClientStream,
  type ClientStreamEvents,
  type ClientTls,
  type Connection,
  type ConnectionState,
  type ConnectOptions,
  defaultKeepalive,
  defaultMaxMessageBytes,
  defaultMaxMetadataBytes,
  type Keepalive,
  type Listener,
  type ListenOptions,
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
