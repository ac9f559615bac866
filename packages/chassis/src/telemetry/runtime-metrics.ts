import { monitorEventLoopDelay } from "node:perf_hooks";
import { type Meter, ValueType } from "@opentelemetry/api";

/** Observes what the process itself uses, read only when metrics are asked for. Dispose to stop the event loop's histogram. */
export function observeRuntime(meter: Meter): Disposable {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
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
      description: "Delay of the event loop since the last reading, 99th percentile.",
    })
    .addCallback((result) => {
      result.observe(delay.percentile(99) / 1e9);
      delay.reset();
    });
  return {
    [Symbol.dispose]() {
      delay.disable();
    },
  };
}
