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
  defaultMaxMessageBytes,
  defaultMaxMetadataBytes,
  type Listener,
  type ListenOptions,
  type RequestHead,
  type ServerStream,
  type ServerStreamEvents,
  type ServerTls,
  type StreamHandler,
  type StreamLimits,
  type StreamOutcome,
  type Transport,
} from "./transport.js";
