import { monitorEventLoopDelay } from "node:perf_hooks";
import { type Meter, ValueType } from "@opentelemetry/api";
import type { Clock } from "@weft/foundation";

/** Several ask, each in its own rhythm: none may take away what another has not seen yet. */
const windowMs = 15_000;

/** Observes what the process itself uses, read only when metrics are asked for. Dispose to stop the event loop's histogram. */
export function observeRuntime(meter: Meter, clock: Clock): Disposable {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  let windowStartMs = clock.nowMs();
  let lastWindow = 0;
  const delayP99 = (): number => {
    const current = delay.percentile(99) / 1e9;
    const shown = Math.max(lastWindow, current);
    if (clock.nowMs() - windowStartMs < windowMs) return shown;
    windowStartMs = clock.nowMs();
    lastWindow = current;
    delay.reset();
    return shown;
  };
  meter
    .createObservableCounter("process.cpu.time", { unit: "s", description: "CPU time used." })
    .addCallback((result) => {
      const { user, system } = process.cpuUsage();
      result.observe(user / 1e6, { "cpu.mode": "user" });
      result.observe(system / 1e6, { "cpu.mode": "system" });
    });
  meter
    .createObservableGauge("process.memory.usage", {
      unit: "By",
      description: "Resident memory.",
      valueType: ValueType.INT,
    })
    .addCallback((result) => result.observe(process.memoryUsage.rss()));
  meter
    .createObservableGauge("nodejs.eventloop.delay.p99", {
      unit: "s",
      description: "Delay of the event loop in the last 15 s to 30 s, 99th percentile.",
    })
    .addCallback((result) => result.observe(delayP99()));
  return {
    [Symbol.dispose]() {
      delay.disable();
    },
  };
}
