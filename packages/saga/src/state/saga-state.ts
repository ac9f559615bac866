/** How far a saga is. */
export type SagaState = "running" | "compensating" | "completed" | "compensated" | "parked";
