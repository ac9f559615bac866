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
