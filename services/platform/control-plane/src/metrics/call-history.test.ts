import { expect, test } from "vitest";
import { CallHistory } from "./call-history.js";

const startWallMs = Date.UTC(2026, 0, 1);
/** One sample each 5 s of `[started, ended]`. */
function historyOf(samples: readonly (readonly [started: number, ended: number])[]): CallHistory {
  const history = new CallHistory();
  for (const [index, [started, ended]] of samples.entries()) {
    history.add({ started, ended }, { nowMs: index * 5_000, wallMs: startWallMs + index * 5_000 });
  }
  return history;
}

test("calls per second are what was started between the first and the last sample", () => {
  expect(
    historyOf([
      [100, 100],
      [150, 150],
      [200, 200],
    ]).figures(10_000),
  ).toEqual({
    callsPerSecond: 10,
    callsInFlight: 0,
    takenWallMs: startWallMs + 10_000,
    windowMs: 10_000,
  });
});

test("one sample is no rate", () => {
  expect(historyOf([[100, 100]]).figures(0)).toBeUndefined();
});

test("a counter that began anew counts from nothing, and no rate is negative", () => {
  expect(
    historyOf([
      [1_000, 990],
      [1_050, 1_040],
      [25, 25],
    ]).figures(10_000)?.callsPerSecond,
  ).toBe(7.5);
});

test("calls in flight are what has started and not ended, averaged over the samples", () => {
  expect(
    historyOf([
      [10, 4],
      [20, 20],
      [30, 30],
    ]).figures(10_000)?.callsInFlight,
  ).toBe(2);
});

test("samples older than half a minute don't count", () => {
  const burst = historyOf([[0, 0], [900, 900], ...Array.from({ length: 7 }, () => [900, 900] as const)]);
  expect(burst.figures(40_000)).toMatchObject({ callsPerSecond: 0, windowMs: 30_000 });
});

test("a newest sample of more than 20 s ago says nothing", () => {
  const history = historyOf([
    [0, 0],
    [50, 50],
  ]);
  expect(history.figures(25_000)).toBeDefined();
  expect(history.figures(25_001)).toBeUndefined();
});
