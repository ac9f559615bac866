import type { BackoffPolicy } from "@weft/foundation";

/**
 * What an error of a step means.
 *
 * | class | means | before the pivot | from the pivot on |
 * | --- | --- | --- | --- |
 * | `refused` | the participant decided against it: nothing happened | the saga turns back | parked after `parkAfter` attempts; a pivot turns back |
 * | `transient` | nothing happened, and it may yet | tried again, `attempts` times in all | tried again until parked |
 * | `unknown` | it may have happened | asked about, tried again with the same key, compensated in the end | asked about, tried again until parked |
 */
export type ErrorClass = "refused" | "transient" | "unknown";

/** How one step is carried out. */
export interface StepPolicy {
  /** How long one attempt may take; then its outcome is unknown. Default 5 s. */
  readonly timeoutMs?: number;
  /** How long one attempt of the compensation may take. Default 10 s. */
  readonly compensationTimeoutMs?: number;
  /** Attempts in all before the saga turns back. Not counted from the pivot on. Default 5. */
  readonly attempts?: number;
  /** Waits between attempts. Default 100 ms, doubled up to 30 s, ± 20 %. */
  readonly backoff?: BackoffPolicy;
  /** Attempts of what must be done in the end (a compensation, a step after the pivot, an unknown pivot) before it parks. Default 25. */
  readonly parkAfter?: number;
  /** Overrides what an error means; nothing leaves it to {@link classifyError}. */
  readonly classify?: (error: unknown) => ErrorClass | undefined;
  /**
   * For how long the participant is sure to remember an idempotency key. A step whose outcome is unknown, that cannot be asked about and is
   * older than this is parked, never tried again. Default 24 h, as `@weft/store` keeps them.
   */
  readonly keyRememberedMs?: number;
  /**
   * A refusal of the pivot settles earlier attempts whose outcome is unknown as well: the participant remembers a refusal as it does a
   * success. Default false: such a pivot is asked about, or parked.
   */
  readonly refusalIsFinal?: boolean;
}

export type CompletePolicy = Required<Omit<StepPolicy, "classify">> & Pick<StepPolicy, "classify">;

const defaults = {
  timeoutMs: 5_000,
  compensationTimeoutMs: 10_000,
  attempts: 5,
  backoff: { initialMs: 100, maxMs: 30_000, multiplier: 2, jitter: 0.2 },
  parkAfter: 25,
  keyRememberedMs: 24 * 3_600_000,
  refusalIsFinal: false,
} satisfies CompletePolicy;

/** The policy with its defaults. Throws a TypeError that names the wrong value. */
export function completePolicy(policy: StepPolicy | undefined): CompletePolicy {
  const whole = { ...defaults, ...policy };
  for (const name of ["timeoutMs", "compensationTimeoutMs", "attempts", "parkAfter", "keyRememberedMs"] as const) {
    if (!(whole[name] > 0)) throw new TypeError(`policy: ${name} ${whole[name]}: must be above 0`);
  }
  return whole;
}

/** The wait after the given number of failed attempts, with jitter. */
export function backoffMs(policy: BackoffPolicy, failed: number, random: () => number): number {
  const baseMs = Math.min(policy.maxMs, policy.initialMs * policy.multiplier ** Math.max(0, failed - 1));
  return baseMs * (1 + policy.jitter * (2 * random() - 1));
}
