import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import { metrics } from "@opentelemetry/sdk-node";
import { eventually, FakeClock } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { observeRuntime } from "./runtime-metrics.js";

const name = "nodejs.eventloop.delay.p99";

test("a blocked event loop is seen by everybody who asks within the window, and forgotten after two", async () => {
  const reader = new PrometheusExporter({ preventServerStart: true });
  const provider = new metrics.MeterProvider({ readers: [reader] });
  const clock = new FakeClock();
  using _runtime = observeRuntime(provider.getMeter("test"), clock);
  const delaySeconds = async (): Promise<number> => {
    const { resourceMetrics } = await reader.collect();
    const found = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
    return Number(found.find(({ descriptor }) => descriptor.name === name)?.dataPoints[0]?.value);
  };
  const until = performance.now() + 1_500;
  // The monitor's own timer must be pending before the loop is blocked.
  await new Promise((resolve) => setTimeout(resolve, 50));
  while (performance.now() < until);
  await eventually(async () => (await delaySeconds()) > 1, { ceilingMs: 5_000, what: "the delay measured" });
  expect(await delaySeconds()).toBeGreaterThan(1);
  await clock.advance(15_000);
  expect(await delaySeconds()).toBeGreaterThan(1);
  expect(await delaySeconds()).toBeGreaterThan(1);
  await clock.advance(15_000);
  expect(await delaySeconds()).toBeGreaterThan(1);
  expect(await delaySeconds()).toBeLessThan(1);
  await provider.shutdown();
});
