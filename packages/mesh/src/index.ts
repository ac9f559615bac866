export { type CallScope, currentCallScope, runDetached, runInCallScope } from "./call-scope.js";
export { errorOfStatus, statusOfError } from "./errors.js";
export { headersFromMetadata, metadataFromHeaders } from "./metadata.js";
export type { CallHead, Gate, Verdict } from "./server/gate.js";
export type { HealthState } from "./server/health.js";
export type { DrainOptions, MeshServer } from "./server/mesh-server.js";
export type { Routes } from "./server/router.js";
export { type ServeOptions, serve, serveMethods } from "./server/serve.js";
export {
  type ClientAttemptTelemetry,
  type ClientCallTelemetry,
  createTelemetry,
  type ServerCallTelemetry,
  type Telemetry,
} from "./telemetry/telemetry.js";
