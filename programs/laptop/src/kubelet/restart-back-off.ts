/** The kubelet's own waits: the first restart is immediate, then 10 s doubling to 5 min. */
const firstMs = 10_000;
const maxMs = 300_000;
/** A container that ran this long starts again from no wait. */
const resetAfterMs = 600_000;

/** How long a container waits before it is started again (CrashLoopBackOff). */
export class RestartBackOff {
  #waits = 0;

  /** The wait before the next start, given how long the run that just ended lasted. Milliseconds. */
  nextMs(ranMs: number): number {
    if (ranMs >= resetAfterMs) this.#waits = 0;
    const waitMs = this.#waits === 0 ? 0 : Math.min(firstMs * 2 ** (this.#waits - 1), maxMs);
    this.#waits += 1;
    return waitMs;
  }
}
