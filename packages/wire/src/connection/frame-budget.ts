/** How often something may happen: `burst` at once, and `perSecond` more as time goes by. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/**
 * Counts what a peer may do for nothing: frames that carry nothing, streams that are begun and thrown away. Useful work earns some of it back.
 * The clock is read only when the budget is used up.
 */
export class FrameBudget {
  readonly #rate: Rate;
  readonly #nowMs: () => number;
  #left: number;
  #filledAtMs: number;

  constructor(rate: Rate, nowMs: () => number) {
    this.#rate = rate;
    this.#nowMs = nowMs;
    this.#left = rate.burst;
    this.#filledAtMs = nowMs();
  }

  /** Takes one; false when there is none left. */
  spend(): boolean {
    if (this.#left <= 0) this.#refill();
    this.#left -= 1;
    return this.#left >= 0;
  }

  earn(count: number): void {
    this.#left = Math.min(this.#rate.burst, this.#left + count);
  }

  #refill(): void {
    const nowMs = this.#nowMs();
    this.earn(((nowMs - this.#filledAtMs) / 1_000) * this.#rate.perSecond);
    this.#filledAtMs = nowMs;
  }
}
