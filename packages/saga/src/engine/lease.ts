import { type Clock, WatchSource } from "@weft/foundation";

/**
 * What a worker itself may believe of its lease. It is only a reason to hold back from calls: whether a write counts is decided in the
 * database, by the token.
 */
export interface Lease {
  readonly worker: string;
  /** Whether the lease surely has not run out, by this process' own monotonic clock, which goes on while the process is paused. */
  isValid(): boolean;
  /** Resolves once the lease is valid; rejects with the signal's reason. */
  untilValid(signal: AbortSignal): Promise<void>;
}

export interface OwnLease extends Lease {
  /** The lease was renewed by a statement that was sent at that time. */
  renewed(sentMs: number): void;
  ended(): void;
}

export function createLease(worker: string, leaseMs: number, clock: Clock): OwnLease {
  const untilMs = new WatchSource(Number.NEGATIVE_INFINITY);
  // A tenth is left for clocks that run at different speeds.
  const useMs = leaseMs * 0.9;
  return {
    worker,
    isValid: () => clock.nowMs() < untilMs.value,
    untilValid: async (signal) => {
      await untilMs.until((until) => clock.nowMs() < until, signal);
    },
    renewed: (sentMs) => untilMs.set(sentMs + useMs),
    ended: () => untilMs.set(Number.NEGATIVE_INFINITY),
  };
}
