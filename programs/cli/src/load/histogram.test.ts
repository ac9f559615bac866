import fc from "fast-check";
import { expect, test } from "vitest";
import { Histogram } from "./histogram.js";

const shares = [0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1];
/** Durations in whole microseconds, small and large alike. */
const durations = fc.array(
  fc.oneof(
    fc.integer({ min: 0, max: 300 }),
    fc.integer({ min: 0, max: 100_000 }),
    fc.integer({ min: 0, max: 2 ** 31 }),
  ),
  { minLength: 1, maxLength: 300 },
);

function exactMs(sorted: readonly number[], share: number): number {
  return (sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] ?? 0) / 1_000;
}

test("each quantile is the exact one, or at most 1/128 above it", () => {
  fc.assert(
    fc.property(durations, (micros) => {
      const histogram = new Histogram();
      for (const one of micros) histogram.record(one / 1_000);
      const sorted = [...micros].sort((a, b) => a - b);
      for (const share of shares) {
        const exact = exactMs(sorted, share);
        const told = histogram.quantileMs(share);
        expect(told).toBeGreaterThanOrEqual(exact);
        expect(told).toBeLessThanOrEqual(exact * (1 + 1 / 128));
      }
      expect(histogram.count).toBe(micros.length);
      expect(histogram.maxMs).toBe(exactMs(sorted, 1));
    }),
  );
});

test("two histograms together tell what one of everything would", () => {
  fc.assert(
    fc.property(durations, durations, (some, others) => {
      const [left, right, whole] = [new Histogram(), new Histogram(), new Histogram()];
      for (const one of some) left.record(one / 1_000);
      for (const one of others) right.record(one / 1_000);
      for (const one of [...some, ...others]) whole.record(one / 1_000);
      left.add(right);
      for (const share of shares) expect(left.quantileMs(share)).toBe(whole.quantileMs(share));
      expect(left.count).toBe(whole.count);
    }),
  );
});

test("a histogram takes anything, and forgets all when it is cleared", () => {
  const histogram = new Histogram();
  expect(histogram.quantileMs(0.5)).toBe(0);
  histogram.record(-1);
  histogram.record(1e12);
  expect(histogram.quantileMs(0)).toBe(0);
  expect(histogram.quantileMs(1)).toBe((2 ** 32 - 1) / 1_000);
  histogram.clear();
  expect([histogram.count, histogram.maxMs, histogram.quantileMs(0.99)]).toEqual([0, 0, 0]);
});
