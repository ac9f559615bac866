import type { KeptError, SagaFailure } from "../definition/failure.js";
import type { ErrorClass } from "../definition/policy.js";
import type { SagaPhase } from "./saga-state.js";

/**
 * How far one step is.
 *
 *   (none) --intent--> started --result--> done ────────┐
 *                       │ ▲ └──refused, or given up──▶ refused ──uncertain──┤ the saga turns back
 *     outcome known or  ▼ │ intent, again                                   ▼
 *     waited for      waiting ──uncertain, the saga turns back──────▶ undoing --compensated--> undone
 *
 * `uncertain` says that some attempt's outcome was never learned: the step may have happened, or may happen yet, whatever later attempts
 * said. A step that is done needs no such doubt. An intent found in the row of a process that died is uncertain too.
 */
export type EntryState = "started" | "waiting" | "done" | "refused" | "undoing" | "undone";

export interface EntryError extends KeptError {
  readonly errorClass: ErrorClass;
}

export interface Entry {
  readonly name: string;
  readonly state: EntryState;
  readonly uncertain: boolean;
  readonly attempts: number;
  readonly undoAttempts: number;
  /** Unix milliseconds. */
  readonly begunMs: number;
  /** When the next attempt is due, or the sleep ends. Unix milliseconds; 0 when nothing waits. */
  readonly dueMs: number;
  readonly result: Uint8Array | undefined;
  readonly error: EntryError | undefined;
  readonly skipped: boolean;
}

/** All that is known of how far a saga is; a new value for each change. */
export interface Progress {
  readonly phase: SagaPhase;
  readonly entries: ReadonlyMap<string, Entry>;
  readonly failure: SagaFailure | undefined;
  /** Keys of locks that are held or waited for. */
  readonly lockKeys: readonly string[];
}

export const noProgress: Progress = { phase: "running", entries: new Map(), failure: undefined, lockKeys: [] };

/** The progress with some fields of one entry changed, or with a new entry. */
export function withEntry(progress: Progress, name: string, change: Partial<Omit<Entry, "name">>): Progress {
  const entries = new Map(progress.entries);
  entries.set(name, { ...(entries.get(name) ?? emptyEntry(name)), ...change });
  return { ...progress, entries };
}

function emptyEntry(name: string): Entry {
  return {
    name,
    state: "started",
    uncertain: false,
    attempts: 0,
    undoAttempts: 0,
    begunMs: 0,
    dueMs: 0,
    result: undefined,
    error: undefined,
    skipped: false,
  };
}

/** What a process that takes a saga over may believe: a call that was under way may have happened. */
export function afterTakeover(progress: Progress): Progress {
  let next = progress;
  for (const entry of progress.entries.values()) {
    if (entry.state === "started" && !entry.uncertain) next = withEntry(next, entry.name, { uncertain: true });
  }
  return next;
}
