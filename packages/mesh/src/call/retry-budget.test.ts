import { FakeClock } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { createRetryBudget } from "./retry-budget.js";
import { idempotentRetry, retryWaitMs } from "./retry-policy.js";

function withdrawAll(budget: { withdraw(): boolean }): number {
  let count = 0;
  while (count < 10_000 && budget.withdraw()) count += 1;
  return count;
}

test("a fifth of the calls may be tried again, on top of a few a second", () => {
  const budget = createRetryBudget({ clock: new FakeClock() });
  for (let n = 0; n < 100; n += 1) budget.deposit();
  expect(withdrawAll(budget)).toBe(20 + 3);
});

test("a service that fails every call gets 1.2 times its load and no more", async () => {
  const clock = new FakeClock();
  const budget = createRetryBudget({ clock, minPerSecond: 0 });
  let retries = 0;
  for (let second = 0; second < 60; second += 1) {
    for (let n = 0; n < 100; n += 1) {
      budget.deposit();
      if (budget.withdraw()) retries += 1;
    }
    await clock.advance(1_000);
  }
  expect(retries / 6_000).toBeCloseTo(0.2, 2);
});

test("what is saved up has a limit, and so a long calm does not pay for a storm", async () => {
  const clock = new FakeClock();
  const budget = createRetryBudget({ clock });
  for (let n = 0; n < 100_000; n += 1) budget.deposit();
  await clock.advance(3_600_000);
  expect(withdrawAll(budget)).toBe(100 + 3);
});

test("a quiet client gets its few retries back with time", async () => {
  const clock = new FakeClock();
  const budget = createRetryBudget({ clock, minPerSecond: 2 });
  expect(withdrawAll(budget)).toBe(2);
  await clock.advance(500);
  expect(withdrawAll(budget)).toBe(1);
  await clock.advance(60_000);
  expect(withdrawAll(budget)).toBe(2);
});

test("waits double up to their limit, each within a fifth", () => {
  const at = (retry: number, random: number): number => Math.round(retryWaitMs(idempotentRetry, retry, () => random));
  expect([0, 1, 2, 10].map((retry) => at(retry, 0.5))).toEqual([50, 100, 200, 1_000]);
  expect([at(0, 0), at(0, 0.999_999)]).toEqual([40, 60]);
});
