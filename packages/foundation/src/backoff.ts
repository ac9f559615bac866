/** How waits grow between attempts. */
export interface BackoffPolicy {
  /** The first wait, before jitter. Milliseconds. */
  readonly initialMs: number;
  /** The longest wait, before jitter. Milliseconds. */
  readonly maxMs: number;
  /** Growth from one wait to the next; gRPC's connection back-off uses 1.6. */
  readonly multiplier: number;
  /** Share of the wait that is random, both ways: 0.2 gives 80 % to 120 %. */
  readonly jitter: number;
}

/** gRPC's connection back-off (grpc/doc/connection-backoff.md), with a cap that suits a data centre. */
export const connectionBackoff: BackoffPolicy = { initialMs: 1_000, maxMs: 30_000, multiplier: 1.6, jitter: 0.2 };

/** The waits of one sequence of attempts. */
export interface Backoff {
  /** The next wait in milliseconds; each call is longer than the last until the cap. */
  nextMs(): number;
  /** Starts again from the first wait: call it after a success. */
  reset(): void;
}

/** Makes the waits of one sequence of attempts; `random` gives numbers in [0, 1). */
export function createBackoff(policy: BackoffPolicy, random: () => number = Math.random): Backoff {
  let baseMs = policy.initialMs;
  return {
    nextMs() {
      const spread = 1 + policy.jitter * (2 * random() - 1);
      const waitMs = baseMs * spread;
      baseMs = Math.min(baseMs * policy.multiplier, policy.maxMs);
      return waitMs;
    },
    reset() {
      baseMs = policy.initialMs;
    },
  };
}
