import { Code } from "@connectrpc/connect";
import { isConnectionLoss, type Transaction } from "@weft/store";
import type { StepNode } from "../definition/node.js";
import { leaveLine, standInLine, takeTurns } from "../rows/locks.js";
import type { SagaRow } from "../rows/saga-row.js";
import { parseJournal } from "../state/journal.js";
import {
  type AfterFailure,
  cancelledFailure,
  type FailureOptions,
  failed,
  succeeded,
  turnedBack,
  undoFailed,
  undone,
  type Work,
} from "../state/plan.js";
import { type Progress, withEntry } from "../state/progress.js";
import { isFinal } from "../state/saga-state.js";
import { EngineStopped, LeaseLost, type Outcome } from "./attempt.js";
import { createResults, encodeResult, type Results } from "./messages.js";
import { planFrom } from "./plan-write.js";
import type { RunEnd, RunStart, RunSupport } from "./run-start.js";
import { type Plan, RunWriter, type Saved } from "./run-writer.js";
import { StepCalls } from "./step-calls.js";

/** How often a saga that waits for a lock looks by itself. */
const lockLookMs = 5_000;

/**
 * Carries one saga as far as it goes: until it has ended, waits, is parked, or is another worker's.
 *
 * Each turn: what comes next is planned from the progress; its intent is written together with the results before it; it is done. So a step
 * is called only after its intent, and with it its compensation, is on disk, and one commit lies between two steps. Never rejects.
 */
export async function runSaga(support: RunSupport, start: RunStart): Promise<RunEnd> {
  const run = new Run(support, start);
  try {
    return await run.toTheEnd();
  } catch (error) {
    if (error instanceof LeaseLost) {
      support.instruments.fenced.add(1, { saga: start.definition.name });
      support.logger.warn("a saga's lease was lost: another worker goes on with it", { saga: start.sagaId });
      return { t: "given-up" };
    }
    if (error instanceof EngineStopped || support.stop.aborted) return { t: "given-up" };
    support.logger.error("a saga met a fault of the program and is parked", { saga: start.sagaId, error });
    const reason = `fault of the program: ${error instanceof Error ? error.message : String(error)}`;
    return run.park(support.redact(reason)).catch((): RunEnd => ({ t: "given-up" }));
  }
}

class Run {
  readonly #support: RunSupport;
  readonly #start: RunStart;
  readonly #results: Results;
  readonly #calls: StepCalls;
  readonly #writer: RunWriter;
  #progress: Progress;
  #pivotBegun: boolean;
  #cancelReason: string | undefined;
  #parking: string | undefined;
  #saving = Promise.resolve();

  constructor(support: RunSupport, start: RunStart) {
    this.#support = support;
    this.#start = start;
    this.#results = createResults(start.definition);
    this.#calls = new StepCalls(support, start, this.#results);
    this.#writer = new RunWriter(support, start);
    this.#progress = start.progress;
    this.#pivotBegun = start.pivotBegun;
    this.#cancelReason = start.cancelReason;
  }

  async toTheEnd(): Promise<RunEnd> {
    for (;;) {
      if (this.#isCancelled())
        this.#progress = turnedBack(this.#progress, cancelledFailure(this.#cancelReason ?? "cancelled"));
      const plan = this.#plan(this.#progress);
      if (this.#support.stopping.aborted && plan.work.t !== "end") return this.#giveBack();
      const end = await this.#turn(plan, plan.work);
      if (end !== undefined) return end;
      if (this.#parking !== undefined) return this.park(this.#parking);
    }
  }

  /** Stops the saga until an operator acts. */
  async park(parkedReason: string): Promise<RunEnd> {
    const { phase } = this.#progress;
    this.#support.logger.error("a saga is parked: it needs an operator", {
      saga: this.#start.sagaId,
      name: this.#start.definition.name,
      reason: parkedReason,
    });
    const plan: Plan = {
      ...this.#plan(this.#progress),
      progress: this.#progress,
      state: "parked",
      keep: false,
      dueMs: 0,
      parkedReason,
      pivotBegun: this.#pivotBegun,
    };
    const saved = await this.#writer.save({ ...plan, step: plan.step || phase });
    return this.#ended(plan, saved);
  }

  async #turn(plan: Plan, work: Work): Promise<RunEnd | undefined> {
    // A step in the own database writes the results before it along with its own.
    if (work.t === "local" || (work.t === "undo" && work.step.work.t === "local"))
      return this.#localStep(work.step, work.t);
    if (work.t === "lock") return this.#lock(work.node);
    if (plan.progress !== this.#writer.written || !plan.keep) {
      const saved = await this.#writer.save(plan);
      this.#cancelReason = saved.cancelReason;
      // Not written, or begun in the row but not called: the steps are as they were.
      if (!saved.written || (plan.keep && !plan.pivotBegun && this.#isCancelled())) return undefined;
      this.#progress = plan.progress;
      this.#pivotBegun = plan.pivotBegun;
      if (!plan.keep) return this.#ended(plan, saved);
    }
    if (work.t === "call") await this.#call(work.steps);
    if (work.t === "undo") await this.#undo(work.step);
    return undefined;
  }

  // Calls of other services.

  async #call(steps: readonly StepNode[]): Promise<void> {
    await this.#surelyOwned();
    let left = steps.length;
    await Promise.all(
      steps.map(async (step) => {
        const outcome = await this.#attemptStep(step);
        if (outcome.t === "done") this.#progress = succeeded(this.#progress, step.name, outcome.value);
        else this.#apply(failed(this.#progress, step, outcome.error, this.#failureOptions()));
        left -= 1;
        if (left === 0) return;
        // Others are under way and may take long: what this one gave is written now.
        await this.#saveProgress();
      }),
    );
  }

  /** Asks first when the outcome of an earlier attempt is unknown, then calls. */
  async #attemptStep(step: StepNode): Promise<Outcome<Uint8Array | undefined>> {
    if (step.work.t !== "remote") throw new Error("a local step is not called");
    const { run, ask } = step.work;
    if (ask !== undefined && this.#isUncertain(step)) {
      const answer = await this.#calls.ask(this.#progress, step, ask);
      if (answer.t === "failed") return answer;
      if (answer.value.t === "found") return { t: "done", value: answer.value.bytes };
      if (answer.value.t === "never") this.#progress = withEntry(this.#progress, step.name, { uncertain: false });
      // Asking took its time.
      await this.#surelyOwned();
    }
    return this.#calls.attempt(this.#progress, step, "run", async (call) => encodeResult(step.result, await run(call)));
  }

  /** Asks first when it is unknown whether there is anything to undo, then compensates. */
  async #undo(step: StepNode): Promise<void> {
    if (step.work.t !== "remote") throw new Error("a local step is not called");
    const { ask, compensate } = step.work;
    await this.#surelyOwned();
    if (ask !== undefined && this.#isUncertain(step)) {
      const answer = await this.#calls.ask(this.#progress, step, ask);
      if (answer.t === "failed") {
        this.#apply(undoFailed(this.#progress, step, answer.error, this.#failureOptions()));
        return;
      }
      if (answer.value.t === "never") {
        this.#progress = withEntry(undone(this.#progress, step.name), step.name, { uncertain: false });
        return;
      }
      if (answer.value.t === "found") this.#progress = succeeded(this.#progress, step.name, answer.value.bytes);
      await this.#surelyOwned();
    }
    const outcome = await this.#calls.attempt(this.#progress, step, "compensate", async (call) => {
      await compensate?.(this.#calls.forCompensation(this.#progress, step, call));
    });
    if (outcome.t === "done") this.#progress = undone(this.#progress, step.name);
    else this.#apply(undoFailed(this.#progress, step, outcome.error, this.#failureOptions()));
  }

  // Transactions of the own database: the lease is checked under the row's lock, and the progress is written with the work.

  async #localStep(step: StepNode, direction: "local" | "undo"): Promise<RunEnd | undefined> {
    const { work } = step;
    if (work.t !== "local") throw new Error("a remote step does not run in the database");
    const kind = direction === "local" ? "run" : "compensate";
    let cause: unknown;
    const outcome = await this.#calls.attempt(this.#progress, step, kind, async (call) => {
      try {
        return await this.#transact(call.signal, async (tx) => {
          if (direction === "undo") {
            await work.compensate?.(tx, this.#calls.forCompensation(this.#progress, step, call));
            return this.#plan(undone(this.#progress, step.name));
          }
          const result = encodeResult(step.result, await work.run(tx, call));
          const plan = this.#plan(succeeded(this.#progress, step.name, result));
          return step.place === "pivot" ? { ...plan, pivotBegun: true } : plan;
        });
      } catch (error) {
        cause = error;
        throw error;
      }
    });
    if (outcome.t === "done") return outcome.value;
    if (outcome.error.errorClass !== "refused") {
      const { row, committed } = await this.#writer.settled();
      if (committed) return this.#adoptRow(row);
      // The database was away: that is no failure of the step.
      if (isConnectionLoss(cause)) return undefined;
    }
    const error =
      outcome.error.errorClass === "unknown" ? { ...outcome.error, errorClass: "transient" as const } : outcome.error;
    const options = this.#failureOptions();
    this.#apply(
      direction === "undo"
        ? undoFailed(this.#progress, step, error, options)
        : failed(this.#progress, step, error, options),
    );
    return undefined;
  }

  async #lock(node: Extract<Work, { t: "lock" }>["node"]): Promise<RunEnd | undefined> {
    const { sagaId, input } = this.#start;
    const key = node.key({ sagaId, input, results: this.#results.all(this.#progress) });
    const begunMs = this.#progress.entries.get(node.name)?.begunMs ?? this.#nowMs();
    try {
      return await this.#transact(
        this.#support.stop,
        async (tx) => {
          const lockKeys = [...new Set([...this.#progress.lockKeys, key])];
          const inLine = { ...this.#progress, lockKeys };
          if (await standInLine(tx, key, sagaId))
            return this.#plan(withEntry(inLine, node.name, { state: "done", begunMs, dueMs: 0 }));
          const untilMs = begunMs + node.waitMs;
          if (node.whenTaken === "wait" && this.#nowMs() < untilMs) {
            const waiting = withEntry(inLine, node.name, { state: "waiting", begunMs });
            const dueMs = Math.min(untilMs, this.#nowMs() + lockLookMs);
            return { ...this.#plan(waiting), keep: false, dueMs };
          }
          await leaveLine(tx, sagaId, [key], this.#support.time());
          const message = `lock "${key}": another saga holds it`;
          return this.#plan(
            turnedBack(withEntry(this.#progress, node.name, { state: "refused", begunMs }), {
              step: node.name,
              code: Code.Aborted,
              message,
              details: [],
            }),
          );
        },
        [key],
      );
    } catch (error) {
      if (!isConnectionLoss(error)) throw error;
      const { row, committed } = await this.#writer.settled();
      return committed ? this.#adoptRow(row) : undefined;
    }
  }

  /** Runs `work` and writes its plan in one transaction; does nothing when the saga was cancelled first. */
  async #transact(
    signal: AbortSignal,
    work: (tx: Transaction) => Promise<Plan>,
    turns: readonly string[] = [],
  ): Promise<RunEnd | undefined> {
    const done = await this.#support.database.transaction(
      async (tx) => {
        await takeTurns(tx, turns);
        const row = await this.#writer.lock(tx);
        this.#cancelReason = row.cancelReason;
        if (this.#isCancelled()) return undefined;
        const plan = await work(tx);
        return { plan, saved: await this.#writer.saveIn(tx, plan) };
      },
      { bounds: { signal } },
    );
    // Too late for who waited for it: what is in the row decides.
    signal.throwIfAborted();
    if (done === undefined) return undefined;
    const { plan, saved } = done;
    this.#writer.committed(plan);
    this.#progress = plan.progress;
    this.#pivotBegun = plan.pivotBegun;
    return plan.keep ? undefined : this.#ended(plan, saved);
  }

  /** Goes on from the row, after a commit of this process whose answer was lost. */
  #adoptRow(row: SagaRow): RunEnd | undefined {
    const progress = parseJournal(
      row.state === "compensating" || row.state === "compensated" ? "compensating" : "running",
      row.journal,
    );
    const plan: Plan = {
      ...this.#plan(progress),
      progress,
      state: row.state,
      keep: row.owner !== undefined,
      dueMs: row.dueAt.getTime(),
      pivotBegun: row.pivotBegun,
    };
    this.#writer.committed(plan);
    this.#progress = progress;
    this.#pivotBegun = row.pivotBegun;
    this.#cancelReason = row.cancelReason;
    return plan.keep ? undefined : this.#ended(plan, { watched: true });
  }

  // What is common.

  #plan(progress: Progress): Plan {
    const { definition, sagaId, input } = this.#start;
    return planFrom(definition, progress, {
      nowMs: this.#nowMs(),
      pivotBegun: this.#pivotBegun,
      looked: (at) => ({ sagaId, input, results: this.#results.all(at) }),
    });
  }

  /** Writes what is known while steps are under way: one write at a time. */
  #saveProgress(): Promise<void> {
    this.#saving = this.#saving.then(() => this.#saveProgressNow());
    return this.#saving;
  }

  async #saveProgressNow(): Promise<void> {
    const progress = this.#progress;
    const { step } = this.#plan(progress);
    const kept = { state: progress.phase, step, keep: true, dueMs: 0, pivotBegun: this.#pivotBegun };
    const saved = await this.#writer.save({ ...kept, progress, work: { t: "call", steps: [] } });
    this.#cancelReason = saved.cancelReason;
  }

  /** Nothing is under way here: whoever takes the saga over need not doubt what was begun and not called. */
  async #giveBack(): Promise<RunEnd> {
    let progress = this.#progress;
    for (const entry of progress.entries.values())
      if (entry.state === "started") progress = withEntry(progress, entry.name, { state: "waiting" });
    const plan = this.#plan(this.#progress);
    const dueMs = plan.work.t === "wait" ? plan.work.dueMs : this.#nowMs();
    await this.#writer.save({
      ...plan,
      progress,
      state: progress.phase,
      keep: false,
      dueMs,
      pivotBegun: this.#pivotBegun,
    });
    return { t: "given-up" };
  }

  #ended(plan: Plan, saved: Pick<Saved, "watched">): RunEnd {
    if (!isFinal(plan.state) && plan.state !== "parked")
      return { t: "waiting", inMs: Math.max(0, plan.dueMs - this.#nowMs()) };
    const { state, progress, parkedReason } = plan;
    return { t: "ended", state, progress, parkedReason, watched: saved.watched };
  }

  #apply(after: AfterFailure): void {
    this.#progress = after.progress;
    this.#parking ??= after.park;
  }

  #isCancelled(): boolean {
    return this.#cancelReason !== undefined && !this.#pivotBegun && this.#progress.phase === "running";
  }

  #isUncertain(step: StepNode): boolean {
    return this.#progress.entries.get(step.name)?.uncertain === true;
  }

  /** Holds back from a call while the lease may have run out, such as after this process was paused. */
  async #surelyOwned(): Promise<void> {
    const { lease, stop } = this.#support;
    if (lease.isValid()) return;
    await lease.untilValid(stop).catch(() => {
      throw new EngineStopped();
    });
    await this.#saveProgress();
  }

  #failureOptions(): FailureOptions {
    return { nowMs: this.#nowMs(), random: this.#support.random };
  }

  #nowMs(): number {
    return this.#start.databaseMs + (this.#support.clock.nowMs() - this.#start.clockMs);
  }
}
