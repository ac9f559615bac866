import { FakeClock } from "@weft/foundation/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { TimerWheel, WheelTimer } from "./timer-wheel.js";

/** A tick, and nothing for the turn of an event loop that a fake clock does not have. */
const slackMs = 4;

test("every timer fires once, not before its time and no more than a tick after it, whatever else is set", async () => {
  const delay = fc.oneof(
    fc.integer({ min: 0, max: 300 }),
    fc.integer({ min: 0, max: 100_000 }),
    fc.integer({ min: 0, max: 4_000_000 }),
  );
  const plan = fc.array(fc.tuple(delay, delay), { minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(plan, async (timers) => {
      const clock = new FakeClock();
      const wheel = new TimerWheel(clock);
      const fired: { readonly dueMs: number; readonly atMs: number }[] = [];
      const startMs = clock.nowMs();
      for (const [setAtMs, delayMs] of [...timers].sort(([a], [b]) => a - b)) {
        await clock.advance(Math.max(0, startMs + setAtMs - clock.nowMs()));
        const dueMs = clock.nowMs() + delayMs;
        new WheelTimer(wheel, () => void fired.push({ dueMs, atMs: clock.nowMs() })).set(delayMs);
      }
      await clock.advance(4_100_000);
      expect(fired).toHaveLength(timers.length);
      for (const { dueMs, atMs } of fired) {
        expect(atMs).toBeGreaterThanOrEqual(dueMs);
        expect(atMs).toBeLessThanOrEqual(dueMs + slackMs);
      }
    }),
    { numRuns: 50 },
  );
});

test("what is called off does not fire, and may be set again", async () => {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  let fired = 0;
  const timer = new WheelTimer(wheel, () => {
    fired += 1;
  });
  timer.set(100);
  timer.clear();
  timer.clear();
  await clock.advance(1_000);
  expect(fired).toBe(0);
  timer.set(100);
  timer.set(500);
  await clock.advance(200);
  expect(fired).toBe(0);
  await clock.advance(400);
  expect(fired).toBe(1);
  expect(timer.isSet).toBe(false);
});
