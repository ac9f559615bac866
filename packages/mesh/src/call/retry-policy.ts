import { StatusCode } from "@weft/wire";

/** When and how a call is tried again after it failed (gRFC A6, A44). */
export interface RetryPolicy {
  /** Attempts in all, the first one too. */
  readonly maxAttempts: number;
  readonly codes: ReadonlySet<StatusCode>;
  /** First wait, before jitter. */
  readonly baseMs: number;
  /** Longest wait, before jitter. */
  readonly maxMs: number;
}

/** No retries but transparent ones. */
export const neverRetry: RetryPolicy = { maxAttempts: 1, codes: new Set(), baseMs: 50, maxMs: 1_000 };

/** What a method gets whose contract says that doing it twice does no harm, unless its route says otherwise. */
export const idempotentRetry: RetryPolicy = {
  maxAttempts: 3,
  codes: new Set([StatusCode.unavailable]),
  baseMs: 50,
  maxMs: 1_000,
};

/** The wait before a retry: it doubles from one to the next, up to the policy's limit, ± 20 %. `retry` counts from 0. */
export function retryWaitMs(policy: RetryPolicy, retry: number, random: () => number): number {
  const baseMs = Math.min(policy.baseMs * 2 ** Math.min(retry, 30), policy.maxMs);
  return baseMs * (0.8 + 0.4 * random());
}
