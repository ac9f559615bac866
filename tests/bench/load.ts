import { quantile } from "./statistics.js";

/** What one round of load measured. */
export interface Round {
  readonly callsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU time of the calling process for each call. */
  readonly cpuMicrosPerCall: number;
}

/** Keeps `inFlight` calls going for `durationMs` and measures them. A call that fails fails the round. */
export async function runLoad(call: () => Promise<unknown>, inFlight: number, durationMs: number): Promise<Round> {
  const latencies: number[] = [];
  const endMs = performance.now() + durationMs;
  const cpuStart = process.cpuUsage();
  const startedMs = performance.now();
  const worker = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const sentMs = performance.now();
      await call();
      latencies.push(performance.now() - sentMs);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  const tookMs = performance.now() - startedMs;
  const cpu = process.cpuUsage(cpuStart);
  return {
    callsPerSecond: (latencies.length / tookMs) * 1_000,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    cpuMicrosPerCall: (cpu.user + cpu.system) / Math.max(1, latencies.length),
  };
}

export const warmUpMs = 2_500;

/**
 * Load that brings a process to where one is that has served for a while: its code compiled, its connections open. A measurement of few
 * calls at a time is mostly one of the compiler without it.
 */
export async function warmUp(call: () => Promise<unknown>, inFlight: number): Promise<void> {
  await runLoad(call, Math.max(inFlight, 32), warmUpMs);
}
