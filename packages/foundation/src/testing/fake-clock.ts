import type { Clock, Timer } from "../clock.js";

interface Pending {
  readonly dueMs: number;
  readonly order: number;
  readonly fire: () => void;
}

/** A clock that moves only when told. Timers fire in the order in which they are due. */
export class FakeClock implements Clock {
  #nowMs = 0;
  #order = 0;
  readonly #wallStartMs: number;
  readonly #pending = new Set<Pending>();

  constructor(wallStartMs = Date.UTC(2026, 0, 1)) {
    this.#wallStartMs = wallStartMs;
  }

  /** How many timers are waiting: 0 proves that none was left behind. */
  get pendingTimers(): number {
    return this.#pending.size;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#wallStartMs + this.#nowMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    const entry: Pending = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, fire };
    this.#pending.add(entry);
    return { unref() {}, [Symbol.dispose]: () => void this.#pending.delete(entry) };
  }

  /** Moves time on by `byMs`, firing what falls due; between two timers, waiting promises get their turn. */
  async advance(byMs: number): Promise<void> {
    const targetMs = this.#nowMs + byMs;
    await settle();
    for (;;) {
      const next = [...this.#pending]
        .filter((entry) => entry.dueMs <= targetMs)
        .sort((a, b) => a.dueMs - b.dueMs || a.order - b.order)[0];
      if (next === undefined) break;
      this.#pending.delete(next);
      this.#nowMs = next.dueMs;
      next.fire();
      await settle();
    }
    this.#nowMs = targetMs;
    await settle();
  }
}

/** Lets promises that are ready run; a macrotask drains every microtask before it. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
