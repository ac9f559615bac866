import type { Clock } from "@weft/foundation";

/**
 * Keeps retries from becoming the load that keeps a service down: they may be a share of the calls, plus a few a second so that
 * a quiet client can retry at all. Transparent retries are not counted: the server did no work for them.
 */
export interface RetryBudget {
  /** A call begins: it earns its share of a retry. */
  deposit(): void;
  /** Takes one retry out; false when there is none left. */
  withdraw(): boolean;
}

export interface RetryBudgetOptions {
  readonly clock: Clock;
  /** Retries for each call. Default 0.2. */
  readonly share?: number;
  /** Retries a second that are always allowed. Default 3. */
  readonly minPerSecond?: number;
  /** The most that can be saved up. Default 100 retries. */
  readonly capacity?: number;
}

/** A budget as a bucket: calls and time fill it, retries take from it. */
export function createRetryBudget(options: RetryBudgetOptions): RetryBudget {
  const { clock, share = 0.2, minPerSecond = 3, capacity = 100 } = options;
  const allowance = Math.min(capacity, minPerSecond);
  // Counted in thousandths, so that a share adds up to what it says.
  const shareThousandths = Math.round(share * 1_000);
  let savedThousandths = 0;
  let free = allowance;
  let filledMs = clock.nowMs();
  return {
    deposit() {
      savedThousandths = Math.min(capacity * 1_000, savedThousandths + shareThousandths);
    },
    withdraw() {
      const nowMs = clock.nowMs();
      free = Math.min(allowance, free + ((nowMs - filledMs) / 1_000) * minPerSecond);
      filledMs = nowMs;
      if (savedThousandths >= 1_000) savedThousandths -= 1_000;
      else if (free >= 1) free -= 1;
      else return false;
      return true;
    },
  };
}
