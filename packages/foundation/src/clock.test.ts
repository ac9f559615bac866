import { expect, test } from "vitest";
import { sleep } from "./clock.js";
import { FakeClock } from "./testing/index.js";

test("a sleep that is cut short rejects with the signal's reason and leaves no timer", async () => {
  const clock = new FakeClock();
  const abort = new AbortController();
  const sleeping = sleep(1_000, { clock, signal: abort.signal });
  abort.abort(new Error("enough"));
  await expect(sleeping).rejects.toThrow("enough");
  expect(clock.pendingTimers).toBe(0);
});

test("timers fire in the order in which they are due, and equal ones in the order of their making", async () => {
  const clock = new FakeClock();
  const fired: string[] = [];
  clock.after(20, () => fired.push("late"));
  clock.after(10, () => fired.push("first"));
  clock.after(10, () => fired.push("second"));
  await clock.advance(20);
  expect(fired).toEqual(["first", "second", "late"]);
});

test("a disposed timer does not fire", async () => {
  const clock = new FakeClock();
  let fired = false;
  const timer = clock.after(10, () => {
    fired = true;
  });
  timer[Symbol.dispose]();
  await clock.advance(50);
  expect(fired).toBe(false);
});
