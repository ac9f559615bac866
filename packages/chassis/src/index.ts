export type { Chassis, DrainRequest, ProcessIdentity } from "./chassis.js";
export type { ChassisConfig } from "./config/chassis-table.js";
export { Secret } from "./config/secret.js";
export {
  type ConfigDefinition,
  type ConfigError,
  type ConfigOf,
  type ConfigProblem,
  type ConfigTable,
  type ConfigValues,
  defineConfig,
  type Environment,
} from "./config/table.js";
export { type Variable, type VariableOptions, variable } from "./config/variable.js";
export { exitWithUsage } from "./exit-with-usage.js";
export type { CallContext, Handler, Handlers } from "./handlers.js";
export type { ProcessEvent, ProcessHost } from "./host.js";
export { createLogger, type LoggerOptions, type LogLevel } from "./logger.js";
export type { NotReady, Readiness, ReadinessGate } from "./readiness.js";
export { withoutCardNumbers } from "./redaction/card-numbers.js";
export { createRedactor, type Redactor } from "./redaction/redactor.js";
export type { CreateMesh, MeshSettings } from "./run/create-chassis.js";
export { type RunOptions, runService, type Wire } from "./run/run-service.js";
export type { Router, Routes, ServeOptions, ServerHandle } from "./serve.js";
