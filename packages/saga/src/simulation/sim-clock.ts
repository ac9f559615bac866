import type { Clock, Timer } from "@weft/foundation";

interface Pending {
  readonly dueMs: number;
  readonly order: number;
  readonly fire: () => void;
}

/**
 * A clock for runs with real input and output in them: time stands still while anything is under way, and otherwise jumps to the next timer.
 * What happens is thus decided by the program alone, however slow the machine is.
 */
export class SimClock implements Clock {
  #nowMs = 0;
  #order = 0;
  #underWay = 0;
  #idle: () => void = () => {};
  readonly #pending = new Set<Pending>();

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return Date.UTC(2026, 0, 1) + this.#nowMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    const entry: Pending = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, fire };
    this.#pending.add(entry);
    return { unref() {}, [Symbol.dispose]: () => void this.#pending.delete(entry) };
  }

  /** Time stands still until `work` has ended. */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    this.#underWay += 1;
    try {
      return await work();
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#idle();
    }
  }

  /** Lets time pass until `done`, or fails when that takes more than `mostMs` of it. */
  async run(done: () => boolean, mostMs: number): Promise<void> {
    const endMs = this.#nowMs + mostMs;
    for (;;) {
      await this.#settle();
      if (done()) return;
      const next = [...this.#pending].reduce<Pending | undefined>(
        (first, entry) =>
          first === undefined || entry.dueMs < first.dueMs || (entry.dueMs === first.dueMs && entry.order < first.order)
            ? entry
            : first,
        undefined,
      );
      if (next === undefined) throw new Error("simulation: nothing is under way and nothing will happen");
      if (next.dueMs > endMs) throw new Error(`simulation: not done after ${mostMs} ms of its time`);
      this.#pending.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.fire();
    }
  }

  /** Until nothing is under way and every promise that is ready has run. */
  async #settle(): Promise<void> {
    for (let quiet = 0; quiet < 2; ) {
      if (this.#underWay > 0) {
        await new Promise<void>((resolve) => {
          this.#idle = resolve;
        });
        quiet = 0;
      }
      await new Promise<void>((resolve) => setImmediate(resolve));
      quiet = this.#underWay > 0 ? 0 : quiet + 1;
    }
  }
}
