import type { CallCounts } from "./call-counts.js";

/** What is said of one Pod's calls, from the samples of the last while. */
export interface CallFigures {
  readonly callsPerSecond: number;
  /** Mean over the window: one look at what comes and goes in milliseconds says little. */
  readonly callsInFlight: number;
  /** When the newest sample was taken, on the wall clock. */
  readonly takenWallMs: number;
  /** From the oldest sample that counts to the newest. */
  readonly windowMs: number;
}

interface Sample extends CallCounts {
  /** Calls started since this history began, whatever restarts there were. */
  readonly total: number;
  readonly takenMs: number;
  readonly takenWallMs: number;
}

/** Long enough that two lost samples in a row change nothing, short enough to follow a load. */
const windowMs = 30_000;
/** A newest sample older than this says nothing of now. */
const staleMs = 20_000;

/** The samples of one Pod. A counter that is lower than it was began anew with its process. */
export class CallHistory {
  readonly #samples: Sample[] = [];

  add(counts: CallCounts, at: { readonly nowMs: number; readonly wallMs: number }): void {
    const last = this.#samples.at(-1);
    const restarted = last !== undefined && (counts.started < last.started || counts.ended < last.ended);
    const more = last === undefined ? 0 : restarted ? counts.started : counts.started - last.started;
    this.#samples.push({
      ...counts,
      total: (last?.total ?? 0) + more,
      takenMs: at.nowMs,
      takenWallMs: at.wallMs,
    });
    while ((this.#samples[0]?.takenMs ?? at.nowMs) < at.nowMs - windowMs) this.#samples.shift();
  }

  /** `undefined` with fewer than two samples, or when the newest is too old. */
  figures(nowMs: number): CallFigures | undefined {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || first === last || nowMs - last.takenMs > staleMs) return undefined;
    const spanMs = last.takenMs - first.takenMs;
    // A rejected call may end without having been seen to start: never below nothing.
    const inFlight = this.#samples.map(({ started, ended }) => Math.max(0, started - ended));
    return {
      callsPerSecond: ((last.total - first.total) * 1_000) / spanMs,
      callsInFlight: inFlight.reduce((sum, each) => sum + each, 0) / inFlight.length,
      takenWallMs: last.takenWallMs,
      windowMs: spanMs,
    };
  }
}
