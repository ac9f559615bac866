import { create } from "@bufbuild/protobuf";
import { codecOf } from "@weft/codec";
import {
  type JournalError,
  JournalErrorSchema,
  JournalSchema,
  EntryState as Kept,
} from "@weft/contracts/weft/saga/journal/v1";
import { type KeptError, parseCode } from "../definition/failure.js";
import type { ErrorClass } from "../definition/policy.js";
import type { Entry, EntryState, Progress } from "./progress.js";
import type { SagaPhase } from "./saga-state.js";

const kept: Readonly<Record<EntryState, Kept>> = {
  started: Kept.STARTED,
  waiting: Kept.WAITING,
  done: Kept.DONE,
  refused: Kept.REFUSED,
  undoing: Kept.UNDOING,
  undone: Kept.UNDONE,
};

const fromKept = new Map<Kept, EntryState>([
  [Kept.STARTED, "started"],
  [Kept.WAITING, "waiting"],
  [Kept.DONE, "done"],
  [Kept.REFUSED, "refused"],
  [Kept.UNDOING, "undoing"],
  [Kept.UNDONE, "undone"],
]);

const journals = codecOf(JournalSchema);

/** The bytes of the row's `journal`. */
export function encodeJournal(progress: Progress): Uint8Array {
  const { failure } = progress;
  return journals.encode(
    create(JournalSchema, {
      entries: [...progress.entries.values()].map((entry) => ({
        name: entry.name,
        state: kept[entry.state],
        uncertain: entry.uncertain,
        attempts: entry.attempts,
        undoAttempts: entry.undoAttempts,
        begunMs: BigInt(Math.round(entry.begunMs)),
        dueMs: BigInt(Math.floor(entry.dueMs)),
        skipped: entry.skipped,
        ...(entry.result === undefined ? {} : { result: entry.result }),
        ...(entry.error === undefined ? {} : { error: encodeError(entry.error, entry.error.errorClass) }),
      })),
      lockKeys: [...progress.lockKeys],
      ...(failure === undefined ? {} : { failure: { step: failure.step, error: encodeError(failure, "") } }),
    }),
  );
}

/** Reads the row's `journal`. Throws when it is not one. */
export function parseJournal(phase: SagaPhase, bytes: Uint8Array): Progress {
  const read = journals.decode(bytes);
  if (!read.ok) throw new TypeError(`journal: ${read.error}`);
  const journal = read.value;
  return {
    phase,
    entries: new Map(
      journal.entries.map((entry): [string, Entry] => {
        const state = fromKept.get(entry.state);
        if (state === undefined)
          throw new TypeError(`journal: entry ${JSON.stringify(entry.name)} has state ${entry.state}`);
        return [
          entry.name,
          {
            name: entry.name,
            state,
            uncertain: entry.uncertain,
            attempts: entry.attempts,
            undoAttempts: entry.undoAttempts,
            begunMs: Number(entry.begunMs),
            dueMs: Number(entry.dueMs),
            result: entry.result,
            error:
              entry.error === undefined
                ? undefined
                : { ...decodeError(entry.error), errorClass: parseErrorClass(entry.error.errorClass) },
            skipped: entry.skipped,
          },
        ];
      }),
    ),
    failure:
      journal.failure === undefined
        ? undefined
        : { step: journal.failure.step, ...decodeError(journal.failure.error ?? create(JournalErrorSchema)) },
    lockKeys: journal.lockKeys,
  };
}

function encodeError(error: KeptError, errorClass: string) {
  return {
    code: error.code,
    message: error.message,
    errorClass,
    details: error.details.map(({ type, value }) => ({ typeName: type, value })),
  };
}

function decodeError(error: JournalError): KeptError {
  return {
    code: parseCode(error.code),
    message: error.message,
    details: error.details.map(({ typeName, value }) => ({ type: typeName, value })),
  };
}

function parseErrorClass(text: string): ErrorClass {
  return text === "refused" || text === "transient" ? text : "unknown";
}
