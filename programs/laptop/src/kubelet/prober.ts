import { sleep } from "@weft/foundation";
import { type ProbeOutcome, type ProbeSpec, runProbe } from "./probe.js";

/** What the thresholds make of the tries so far. */
export type ProbeVerdict =
  | { readonly t: "unknown" }
  | { readonly t: "passing" }
  | { readonly t: "failing"; readonly message: string };

/** Counts tries in a row: a verdict changes only when its threshold is reached. */
export class ProbeCounter {
  readonly #spec: Pick<ProbeSpec, "successThreshold" | "failureThreshold">;
  #verdict: ProbeVerdict = { t: "unknown" };
  #successes = 0;
  #failures = 0;

  constructor(spec: Pick<ProbeSpec, "successThreshold" | "failureThreshold">) {
    this.#spec = spec;
  }

  get verdict(): ProbeVerdict {
    return this.#verdict;
  }

  count(outcome: ProbeOutcome): ProbeVerdict {
    if (outcome.t === "success") {
      this.#failures = 0;
      this.#successes += 1;
      if (this.#successes >= this.#spec.successThreshold) this.#verdict = { t: "passing" };
    } else {
      this.#successes = 0;
      this.#failures += 1;
      if (this.#failures >= this.#spec.failureThreshold) this.#verdict = { t: "failing", message: outcome.message };
    }
    return this.#verdict;
  }
}

/**
 * Runs one probe of one container until the signal aborts. `onOutcome` hears each try with the verdict after it; it returns false to end the probe.
 * A startup or readiness probe asks more often until it first passes (a tenth of its period, at least 100 ms): a laptop waits for it.
 */
export async function runProber(options: {
  readonly spec: ProbeSpec;
  readonly eager: boolean;
  readonly signal: AbortSignal;
  onOutcome(verdict: ProbeVerdict, outcome: ProbeOutcome): boolean;
}): Promise<void> {
  const { spec, signal } = options;
  const counter = new ProbeCounter(spec);
  const eagerMs = Math.min(spec.periodMs, Math.max(100, spec.periodMs / 10));
  // The thresholds count periods: eager tries in between fail no threshold.
  let nextCountedMs = performance.now() + spec.initialDelayMs;
  try {
    if (spec.initialDelayMs > 0) await sleep(spec.initialDelayMs, { signal });
    for (;;) {
      const outcome = await runProbe(spec.action, spec.timeoutMs);
      if (signal.aborted) return;
      const counts = outcome.t === "success" || performance.now() >= nextCountedMs;
      if (performance.now() >= nextCountedMs) nextCountedMs = performance.now() + spec.periodMs - 1;
      const verdict = counts ? counter.count(outcome) : counter.verdict;
      if (!options.onOutcome(verdict, outcome)) return;
      await sleep(options.eager && verdict.t !== "passing" ? eagerMs : spec.periodMs, { signal });
    }
  } catch (error) {
    // Told to end: the container stopped or the Pod goes away.
    if (!signal.aborted) throw error;
  }
}
