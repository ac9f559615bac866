export { type CallLimits, defaultCallLimits } from "./call/call.js";
export { type CallScope, currentCallScope, runDetached, runInCallScope } from "./call-scope.js";
export type { MeshDescription } from "./describe.js";
export { errorOfStatus, statusOfError } from "./errors.js";
export { createMesh, type Mesh, type MeshNode, type MeshOptions, type MeshState, type TargetOptions } from "./mesh.js";
export { headersFromMetadata, metadataFromHeaders } from "./metadata.js";
export type { ConfigSource } from "./resolver/config-source.js";
export type { Lookup } from "./resolver/dns-cluster.js";
export type { CallHead, Gate, Verdict } from "./server/gate.js";
export type { HealthState } from "./server/health.js";
export type { DrainOptions, MeshServer } from "./server/mesh-server.js";
export type { Routes } from "./server/router.js";
export { type ServeOptions, serve, serveMethods } from "./server/serve.js";
export { parseTarget, type Target } from "./target.js";
export {
  type ClientAttemptTelemetry,
  type ClientCallTelemetry,
  createTelemetry,
  type ServerCallTelemetry,
  type Telemetry,
} from "./telemetry/telemetry.js";
