import { Code, ConnectError } from "@connectrpc/connect";
import { type Clock, WatchSource } from "@weft/foundation";
import { fromPostgresError, type Notifications } from "@weft/store";
import type { ResultsOf, SagaDefinition } from "../definition/saga.js";
import { phaseOf } from "../rows/saga-row.js";
import type { Known, SagaRows } from "../rows/saga-rows.js";
import { parseJournal } from "../state/journal.js";
import type { Progress } from "../state/progress.js";
import { isFinal, type SagaState } from "../state/saga-state.js";
import { createResults } from "./messages.js";
import type { RunEnd } from "./run-start.js";
import type { SagaOutcome } from "./sagas.js";

type EndHere = (definition: SagaDefinition, end: RunEnd) => void;

export interface WaitingOptions {
  readonly rows: SagaRows;
  readonly notifications: Notifications | undefined;
  readonly clock: Clock;
  readonly pollMs: number;
  readonly definitionOf: (row: Known) => SagaDefinition | undefined;
  readonly isRunning: (id: string) => boolean;
}

/** Who waits for the ends of sagas: of those that run here without a look at the database, of others by notification or now and then. */
export class Waiting {
  readonly #options: WaitingOptions;
  readonly #ends = new Map<string, Set<EndHere>>();

  constructor(options: WaitingOptions) {
    this.#options = options;
  }

  /** This process' part in a saga ended. */
  ended(id: string, definition: SagaDefinition, end: RunEnd): void {
    for (const told of this.#ends.get(id) ?? []) told(definition, end);
  }

  async outcome<D extends SagaDefinition>(
    definition: D,
    id: string,
    signal: AbortSignal | undefined,
  ): Promise<SagaOutcome<ResultsOf<D>>> {
    const { rows, notifications, isRunning, definitionOf } = this.#options;
    const looks = new WatchSource(0);
    const look = (): void => looks.set(looks.value + 1);
    let here: SagaOutcome<ResultsOf<D>> | undefined;
    const onEnd: EndHere = (own, end) => {
      if (end.t === "ended" && own.name === definition.name)
        here = outcomeOf<D>(own, end.state, end.progress, end.parkedReason);
      look();
    };
    const ends = this.#ends.get(id) ?? new Set<EndHere>();
    this.#ends.set(id, ends.add(onEnd));
    using _told = notifications?.subscribe(id, look);
    try {
      for (let watched = false; ; ) {
        const seen = looks.value;
        if (here !== undefined) return here;
        if (!isRunning(id)) {
          const row = watched ? await rows.find(id) : await rows.watch(id);
          watched = true;
          if (row === undefined || row.name !== definition.name)
            throw new ConnectError(`saga ${JSON.stringify(id)}: there is none`, Code.NotFound);
          if (isFinal(row.state) || row.state === "parked") {
            const progress = parseJournal(phaseOf(row), row.journal);
            return outcomeOf<D>(definitionOf(row) ?? definition, row.state, progress, row.parkedReason);
          }
        }
        await this.#pause(looks, seen, signal);
      }
    } finally {
      ends.delete(onEnd);
      if (ends.size === 0 && this.#ends.get(id) === ends) this.#ends.delete(id);
    }
  }

  /** Until there is a reason to look, or none came for long. Every saga that is waited for comes by here: no signals, no races. */
  async #pause(looks: WatchSource<number>, seen: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock, pollMs } = this.#options;
    if (signal?.aborted === true) throw fromPostgresError(signal.reason);
    if (looks.value > seen) return;
    await new Promise<void>((resolve, reject) => {
      const stop = (): void => {
        told[Symbol.dispose]();
        overdue[Symbol.dispose]();
        signal?.removeEventListener("abort", onAbort);
      };
      const goOn = (): void => {
        stop();
        resolve();
      };
      const onAbort = (): void => {
        stop();
        reject(fromPostgresError(signal?.reason));
      };
      const told = looks.subscribe(goOn);
      const overdue = clock.after(pollMs, goOn);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }
}

function outcomeOf<D extends SagaDefinition>(
  own: SagaDefinition,
  state: SagaState,
  progress: Progress,
  parkedReason: string | undefined,
): SagaOutcome<ResultsOf<D>> {
  if (state === "parked") return { t: "parked", reason: parkedReason ?? "" };
  if (state === "completed")
    return { t: "completed", results: fromResults<ResultsOf<D>>(createResults(own).all(progress)) };
  return {
    t: "compensated",
    failure: progress.failure ?? { step: "", code: Code.Unknown, message: "", details: [] },
  };
}

/** Definitions carry the types of their results. */
function fromResults<R>(results: unknown): R {
  return results as R;
}
