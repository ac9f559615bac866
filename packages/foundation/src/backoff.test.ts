import { expect, test } from "vitest";
import { createBackoff } from "./backoff.js";

test("waits grow by the multiplier up to the cap, and start again after a reset", () => {
  const backoff = createBackoff({ initialMs: 100, maxMs: 300, multiplier: 2, jitter: 0.2 }, () => 0.5);
  expect([backoff.nextMs(), backoff.nextMs(), backoff.nextMs(), backoff.nextMs()]).toEqual([100, 200, 300, 300]);
  backoff.reset();
  expect(backoff.nextMs()).toBe(100);
});

test("jitter stays within its share", () => {
  const policy = { initialMs: 100, maxMs: 100, multiplier: 1, jitter: 0.2 };
  expect(createBackoff(policy, () => 0).nextMs()).toBeCloseTo(80);
  expect(createBackoff(policy, () => 0.999999).nextMs()).toBeCloseTo(120, 2);
});
