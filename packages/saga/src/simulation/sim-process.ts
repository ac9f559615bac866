import type { Clock, Timer } from "@weft/foundation";
import type { Database, Queries, Transaction } from "@weft/store";
import type { SimClock } from "./sim-clock.js";

type WriteFault = "crash before" | "crash after" | "lost before" | "lost after";

/** What the processes of one run share. */
export interface SimNet {
  readonly clock: SimClock;
  readonly database: Database;
  /** The database cannot be reached before this time. */
  downUntilMs: number;
  /** Statements go one at a time, so that their order is that of the program. */
  queue: Promise<unknown>;
}

class Crashed extends Error {
  override readonly name = "Crashed";
}

/**
 * A process that can die or pause at any point. A dead one hears nothing more: what it waits for never comes. What it has sent arrives.
 */
export class SimProcess {
  readonly #net: SimNet;
  readonly #faults: (nth: number) => WriteFault | undefined;
  readonly clock: Clock;
  readonly database: Database;
  #writes = 0;
  #pausedUntilMs = 0;
  alive = true;
  onDeath: () => void = () => {};

  constructor(net: SimNet, faults: (nth: number) => WriteFault | undefined) {
    this.#net = net;
    this.#faults = faults;
    this.clock = {
      nowMs: () => net.clock.nowMs(),
      wallMs: () => net.clock.wallMs(),
      after: (delayMs, fire): Timer => net.clock.after(delayMs, () => this.#whenAwake(fire)),
    };
    this.database = {
      state: net.database.state,
      query: (sql, values) =>
        this.#send(typeof sql === "string" ? sql : sql.text, () => net.database.query(sql, values)),
      transaction: (work, options) =>
        this.#send("UPDATE transaction", () =>
          net.database.transaction((tx) => this.#inside(tx, work), {
            ...options,
            // A signal of a process that is dead or paused would act from beyond.
            bounds: {},
          }),
        ),
      untilUp: (signal) => net.database.untilUp(signal),
      async [Symbol.asyncDispose]() {},
    };
  }

  crash(): void {
    if (!this.alive) return;
    this.alive = false;
    this.onDeath();
  }

  pause(forMs: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#net.clock.nowMs() + forMs);
  }

  /** What comes back to the process: nothing when it is dead, later when it is paused. */
  async hear<T>(outcome: Promise<T>): Promise<T> {
    await outcome.catch(() => {});
    await new Promise<void>((resolve) => this.#whenAwake(resolve));
    return outcome;
  }

  #whenAwake(fire: () => void): void {
    if (!this.alive) return;
    const leftMs = this.#pausedUntilMs - this.#net.clock.nowMs();
    if (leftMs <= 0) fire();
    else this.#net.clock.after(leftMs, () => this.#whenAwake(fire));
  }

  #send<T>(sql: string, execute: () => Promise<T>): Promise<T> {
    const { clock } = this.#net;
    const isWrite = /^\s*(UPDATE|INSERT INTO weft_sagas)/.test(sql);
    const fault = isWrite ? this.#faults(this.#writes++) : undefined;
    if (fault === "crash before") this.crash();
    if (!this.alive) return new Promise(() => {});
    const work = this.#net.queue.then(async () => {
      if (clock.nowMs() < this.#net.downUntilMs || fault === "lost before") throw lost();
      const result = await execute();
      if (fault === "crash after") this.crash();
      if (fault === "lost after") throw lost();
      return result;
    });
    this.#net.queue = work.catch(() => {});
    return this.hear(clock.hold(() => work));
  }

  /** A transaction of a process that dies inside is rolled back. */
  async #inside<T>(tx: Transaction, work: (tx: Transaction) => Promise<T>): Promise<T> {
    const query: Queries["query"] = async (sql, values) => {
      if (!this.alive) throw new Crashed();
      return tx.query(sql, values);
    };
    return work({ inTransaction: true, query });
  }
}

function lost(): Error {
  return Object.assign(new Error("Connection terminated unexpectedly"), { code: "ECONNRESET" });
}
