import { type Clock, createBackoff, type Logger, sleep, type Timer } from "@weft/foundation";
import { type Database, isConnectionLoss, type Notifications } from "@weft/store";
import type { Claimed, Known, SagaRows } from "../rows/saga-rows.js";
import type { OwnLease } from "./lease.js";

export interface WorkerOptions {
  readonly rows: SagaRows;
  readonly database: Database;
  readonly lease: OwnLease;
  readonly notifications: Notifications | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly leaseMs: number;
  readonly pollMs: number;
  /** The versions that this program can carry out. */
  readonly known: readonly Known[];
  /** How many more sagas can be taken now. */
  readonly free: () => number;
  /** Carries a taken saga out; `lost` when it was another worker's. */
  readonly take: (claimed: Claimed) => void;
  readonly isRunning: (sagaId: string) => boolean;
}

const mostAtOnce = 200;

/** Finds work: keeps the worker's lease, takes what is due and what others left behind. */
export class Worker {
  readonly #options: WorkerOptions;
  #kicked = false;
  #wake: () => void = () => {};
  #alarm: { readonly dueMs: number; readonly timer: Timer } | undefined;
  #othersLost = true;
  /** The last look took as many as it could: there may be more. */
  #more = false;
  /** Sagas that are this worker's in the database and that it does not know of: the answer to a statement was lost. */
  #strays: ReadonlySet<string> = new Set();

  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  /** Looks for work now. */
  kick(): void {
    this.#kicked = true;
    this.#wake();
  }

  /** A saga has made room for another. */
  roomMade(): void {
    if (this.#more) this.kick();
  }

  /** Looks for work in so many milliseconds, or sooner. */
  kickIn(ms: number): void {
    const { clock } = this.#options;
    // A little later than due: the database's clock decides, and it is not ours.
    const dueMs = clock.nowMs() + ms + 2;
    if (this.#alarm !== undefined && this.#alarm.dueMs <= dueMs) return;
    this.#alarm?.timer[Symbol.dispose]();
    const timer = clock.after(ms + 2, () => {
      this.#alarm = undefined;
      this.kick();
    });
    this.#alarm = { dueMs, timer };
  }

  /** Keeps the lease until the signal aborts. */
  async keepLease(signal: AbortSignal): Promise<void> {
    const { rows, lease, clock, leaseMs, logger, random } = this.#options;
    const backoff = createBackoff({ initialMs: 50, maxMs: leaseMs / 3, multiplier: 2, jitter: 0.2 }, random);
    let failing = false;
    while (!signal.aborted) {
      const sentMs = clock.nowMs();
      let waitMs = leaseMs / 3;
      try {
        const lost = await rows.beat(lease.worker, leaseMs);
        const was = lease.isValid();
        lease.renewed(sentMs);
        if (lost > 0) this.#othersLost = true;
        if (!was || lost > 0) this.kick();
        failing = false;
        backoff.reset();
      } catch (error) {
        if (signal.aborted) return;
        if (!failing) logger.warn("the saga worker's lease could not be renewed: trying again", { error });
        failing = true;
        waitMs = backoff.nextMs();
      }
      await sleep(waitMs, { clock, signal }).catch(() => {
        // Aborted: the loop's condition ends it.
      });
    }
  }

  /** Takes sagas until the signal aborts. */
  async findWork(signal: AbortSignal): Promise<void> {
    const { notifications, clock, logger, lease, leaseMs } = this.#options;
    using _subscription = notifications?.subscribe("work", () => this.kick());
    let sweptMs = Number.NEGATIVE_INFINITY;
    try {
      while (!signal.aborted) {
        await this.#untilKicked(signal);
        this.#kicked = false;
        if (signal.aborted) return;
        if (!lease.isValid()) continue;
        const sweep = clock.nowMs() - sweptMs >= leaseMs;
        if (sweep) sweptMs = clock.nowMs();
        try {
          await this.#look(sweep);
        } catch (error) {
          if (signal.aborted) return;
          // Without its database there is no work; the lease says when it is back.
          if (!isConnectionLoss(error)) logger.error("sagas that are due could not be taken", { error });
        }
      }
    } finally {
      this.#alarm?.timer[Symbol.dispose]();
    }
  }

  async #look(sweep: boolean): Promise<void> {
    const { rows, lease, known, free, take } = this.#options;
    this.#more = true;
    if (known.length === 0) return;
    if (sweep) await this.#takeStrays();
    if (this.#othersLost || sweep) {
      const limit = Math.min(mostAtOnce, free());
      if (limit <= 0) return;
      const lost = await rows.claimLost(lease.worker, known, limit);
      for (const claimed of lost) take(claimed);
      if (lost.length === limit) return;
      this.#othersLost = false;
    }
    const limit = Math.min(mostAtOnce, free());
    if (limit <= 0) return;
    const due = await rows.claimDue(lease.worker, known, limit);
    for (const claimed of due) take(claimed);
    if (due.length === limit) {
      if (free() > 0) this.kick();
      return;
    }
    this.#more = false;
  }

  /** Only what was a stray the last time too: an answer may just be on its way. */
  async #takeStrays(): Promise<void> {
    const { rows, lease, take, isRunning } = this.#options;
    const found = (await rows.owned(lease.worker)).filter((id) => !isRunning(id));
    const ids = found.filter((id) => this.#strays.has(id));
    this.#strays = new Set(found.filter((id) => !this.#strays.has(id)));
    if (ids.length > 0) for (const claimed of await rows.claimOwn(lease.worker, ids)) take(claimed);
  }

  #untilKicked(signal: AbortSignal): Promise<void> {
    if (this.#kicked || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        timer[Symbol.dispose]();
        signal.removeEventListener("abort", done);
        this.#wake = () => {};
        resolve();
      };
      const timer = this.#options.clock.after(this.#options.pollMs, done);
      signal.addEventListener("abort", done, { once: true });
      this.#wake = done;
    });
  }
}
