/**
 * How long a piece of database work may take: a handler's context fits as it is.
 * The signal ends the wait at once; the time left also becomes the server's statement timeout.
 */
export interface CallBounds {
  readonly signal?: AbortSignal;
  /** Milliseconds left, or nothing when there is no deadline. */
  readonly timeoutMs?: () => number | undefined;
}

/** Steps of the statement timeout: few, so that a connection seldom changes its setting. Milliseconds. */
const steps = [50, 100, 250, 500, 1_000, 2_000, 5_000, 10_000, 30_000] as const;

/** The statement timeout that is set when a call has no deadline. Milliseconds. */
export const longestStatementMs = 30_000;

/** The server's statement timeout for work with these bounds: the step just above the time that is left. */
export function statementTimeoutMs(bounds: CallBounds): number {
  const leftMs = bounds.timeoutMs?.();
  if (leftMs === undefined) return longestStatementMs;
  return steps.find((step) => step >= leftMs) ?? longestStatementMs;
}
