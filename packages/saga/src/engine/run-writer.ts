import { type BackoffPolicy, createBackoff, sleep } from "@weft/foundation";
import { isConnectionLoss, type Transaction } from "@weft/store";
import { leaveLine, takeTurns } from "../rows/locks.js";
import type { SagaRow } from "../rows/saga-row.js";
import type { SagaWrite } from "../rows/saga-rows.js";
import { encodeJournal } from "../state/journal.js";
import type { Work } from "../state/plan.js";
import type { Progress } from "../state/progress.js";
import { isFinal, type SagaState } from "../state/saga-state.js";
import { EngineStopped, LeaseLost } from "./attempt.js";
import type { RunSupport } from "./run-start.js";

/** A saga as it is to be written. */
export interface Plan {
  readonly progress: Progress;
  readonly work: Work;
  readonly state: SagaState;
  readonly step: string;
  /** Whether this process goes on with it. */
  readonly keep: boolean;
  /** When it goes on otherwise. Unix milliseconds. */
  readonly dueMs: number;
  readonly pivotBegun: boolean;
  readonly parkedReason?: string;
}

export interface Saved {
  /** Somebody waits for its end in another process. */
  readonly watched: boolean;
  readonly cancelReason: string | undefined;
  /** False when a cancellation was there before the pivot: nothing was written. */
  readonly written: boolean;
}

const again: BackoffPolicy = { initialMs: 50, maxMs: 1_000, multiplier: 2, jitter: 0.2 };

/**
 * Writes one saga's row under its lease. A write holds the whole progress and its number, so one whose answer was lost is simply sent again:
 * either it is done now, or its own number stands in the row already.
 */
export class RunWriter {
  readonly #support: RunSupport;
  readonly #sagaId: string;
  readonly #fence: bigint;
  #revision: bigint;
  /** The progress that the row has. */
  written: Progress;

  constructor(support: RunSupport, saga: { sagaId: string; fence: bigint; revision: bigint; progress: Progress }) {
    this.#support = support;
    this.#sagaId = saga.sagaId;
    this.#fence = saga.fence;
    this.#revision = saga.revision;
    this.written = saga.progress;
  }

  /** Writes for as long as it takes. LeaseLost: the saga is another's. */
  async save(plan: Plan): Promise<Saved> {
    const write = this.#toWrite(plan);
    const backoff = createBackoff(again, this.#support.random);
    for (let warned = false; ; warned = true) {
      try {
        return await this.#saveOnce(plan, write);
      } catch (error) {
        if (!isConnectionLoss(error)) throw error;
        if (!warned) this.#support.logger.warn("a saga waits for the database", { saga: this.#sagaId, error });
        await this.pause(backoff.nextMs());
      }
    }
  }

  /** Writes in a transaction in which {@link lock} gave the row; call {@link committed} after the commit. */
  async saveIn(tx: Transaction, plan: Plan): Promise<Saved> {
    const { rows, lease } = this.#support;
    const [answer] = await rows.write(lease.worker, [this.#toWrite(plan)], tx);
    if (answer?.t !== "written") throw new LeaseLost();
    if (isFinal(plan.state) && plan.progress.lockKeys.length > 0) await this.#giveLocksBack(tx, plan);
    return { ...answer, written: true };
  }

  committed(plan: Plan): void {
    this.#revision += 1n;
    this.written = plan.progress;
  }

  /** The row, locked, if it is as this process knows it. LeaseLost otherwise. */
  async lock(tx: Transaction): Promise<SagaRow> {
    const { rows, lease } = this.#support;
    const row = await rows.lockOwned(tx, lease.worker, { sagaId: this.#sagaId, fence: this.#fence });
    if (row === undefined || row.revision !== this.#revision) throw new LeaseLost();
    return row;
  }

  /**
   * After a transaction of this process whose outcome is unknown: whether it committed. It held the row's lock, so once that is had here
   * the answer is final.
   */
  async settled(): Promise<{ readonly row: SagaRow; readonly committed: boolean }> {
    const backoff = createBackoff(again, this.#support.random);
    for (;;) {
      try {
        return await this.#support.database.transaction(async (tx) => {
          await tx.query("SELECT 1 FROM weft_sagas WHERE saga_id = $1 FOR UPDATE", [this.#sagaId]);
          const row = await this.#support.rows.find(this.#sagaId, tx);
          if (row === undefined || row.fence !== this.#fence) throw new LeaseLost();
          if (row.revision === this.#revision + 1n) return { row, committed: true };
          if (row.revision !== this.#revision || row.owner !== this.#support.lease.worker) throw new LeaseLost();
          return { row, committed: false };
        });
      } catch (error) {
        if (!isConnectionLoss(error)) throw error;
        await this.pause(backoff.nextMs());
      }
    }
  }

  async pause(ms: number): Promise<void> {
    const { clock, stop } = this.#support;
    await sleep(ms, { clock, signal: stop }).catch(() => {
      throw new EngineStopped();
    });
  }

  async #saveOnce(plan: Plan, write: SagaWrite): Promise<Saved> {
    const { database, rows, lease } = this.#support;
    const inTransaction = isFinal(plan.state) && plan.progress.lockKeys.length > 0;
    const answer = inTransaction
      ? await database.transaction(async (tx) => {
          await takeTurns(tx, plan.progress.lockKeys);
          const [only] = await rows.write(lease.worker, [write], tx);
          if (only?.t === "written") await this.#giveLocksBack(tx, plan);
          return only ?? { t: "refused" as const };
        })
      : await this.#support.write(write);
    if (answer.t === "written") {
      this.committed(plan);
      return { watched: answer.watched, cancelReason: answer.cancelReason, written: true };
    }
    const row = await rows.find(this.#sagaId);
    const mine = row !== undefined && row.fence === this.#fence && (row.owner === lease.worker || !write.keep);
    if (mine && row.revision === write.revision) {
      this.committed(plan);
      return { watched: true, cancelReason: row.cancelReason, written: true };
    }
    if (mine && row.revision === this.#revision && row.owner === lease.worker && row.cancelReason !== undefined) {
      return { watched: false, cancelReason: row.cancelReason, written: false };
    }
    throw new LeaseLost();
  }

  async #giveLocksBack(tx: Transaction, plan: Plan): Promise<void> {
    await takeTurns(tx, plan.progress.lockKeys);
    const woken = await leaveLine(tx, this.#sagaId, plan.progress.lockKeys, this.#support.time());
    if (woken > 0) await this.#support.rows.notify(["work"], tx);
  }

  #toWrite(plan: Plan): SagaWrite {
    return {
      sagaId: this.#sagaId,
      fence: this.#fence,
      revision: this.#revision + 1n,
      state: plan.state,
      parkedFrom: plan.state === "parked" ? plan.progress.phase : undefined,
      parkedReason: plan.parkedReason,
      step: plan.step,
      pivotBegun: plan.pivotBegun,
      journal: encodeJournal(plan.progress),
      keep: plan.keep,
      dueMs: plan.dueMs,
    };
  }
}
