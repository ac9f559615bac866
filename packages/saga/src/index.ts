export { type AdminContext, createSagaAdminHandlers, type SagaAdminHandlers } from "./admin/handlers.js";
export {
  createSagaAdmin,
  type OperatorAct,
  type SagaAct,
  type SagaAdmin,
  type SagaDetail,
  type SagaFilter,
  type SagaStepDetail,
  type SagaSummary,
} from "./admin/saga-admin.js";
export { failureError, type KeptError, type SagaFailure } from "./definition/failure.js";
export { definitionFingerprint } from "./definition/fingerprint.js";
export type { ErrorClass, StepPolicy } from "./definition/policy.js";
export {
  type InputOf,
  type ParallelSteps,
  type ResultsOf,
  type SagaAfterPivot,
  type SagaBeforePivot,
  type SagaDefinition,
  saga,
} from "./definition/saga.js";
export type {
  Answer,
  CompensationCall,
  LocalStepOptions,
  LockOptions,
  Looked,
  PivotOptions,
  StepCall,
  StepOptions,
} from "./definition/step.js";
export { classifyError } from "./engine/classify.js";
export { createSagas } from "./engine/create-sagas.js";
export type { SagasOptions } from "./engine/options.js";
export type { CancelAnswer, SagaAlarm, SagaOutcome, SagaRequest, Sagas, SagaView } from "./engine/sagas.js";
export { stepKey } from "./engine/step-calls.js";
export { sagaMigration } from "./rows/migration.js";
export type { SagaCount } from "./rows/saga-rows.js";
export { sagaChannel } from "./rows/saga-rows.js";
export type { SagaState } from "./state/saga-state.js";
