/**
 * How far a saga is.
 *
 *   running --all steps done--> completed (final)
 *      │  │
 *      │  └─a step fails for good, or cancelled, before the pivot is done--> compensating --all undone--> compensated (final)
 *      │                                                                          │   ▲
 *      └──cannot go on without an operator──▶ parked ◀──cannot go on──────────────┘   │
 *                                              │  └──operator: compensate─────────────┤
 *                                              └─────operator: retry or skip──▶ running or compensating, as before
 */
export type SagaState = "running" | "compensating" | "completed" | "compensated" | "parked";

/** The direction in which a saga that has not ended goes. */
export type SagaPhase = "running" | "compensating";

/** Reads a state as it stands in a row. */
export function parseSagaState(text: string): SagaState {
  switch (text) {
    case "running":
    case "compensating":
    case "completed":
    case "compensated":
    case "parked":
      return text;
    default:
      throw new TypeError(`saga state ${JSON.stringify(text)}: is none`);
  }
}

/** Whether nothing follows this state. */
export function isFinal(state: SagaState): boolean {
  return state === "completed" || state === "compensated";
}
