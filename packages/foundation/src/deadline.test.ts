import { expect, test } from "vitest";
import { DeadlineExceeded, deadlineIn, joinSignals, soonerOf } from "./deadline.js";
import { FakeClock } from "./testing/index.js";

test("the joined signal aborts at the deadline and leaves no timer", async () => {
  const clock = new FakeClock();
  const joined = joinSignals({ clock, deadline: deadlineIn(50, clock), signals: [undefined] });
  await clock.advance(49);
  expect(joined.signal.aborted).toBe(false);
  await clock.advance(1);
  expect(joined.signal.reason).toBeInstanceOf(DeadlineExceeded);
  expect(clock.pendingTimers).toBe(0);
});

test("the first signal wins and clears the timer", () => {
  const clock = new FakeClock();
  const caller = new AbortController();
  const joined = joinSignals({
    clock,
    deadline: deadlineIn(50, clock),
    signals: [caller.signal, new AbortController().signal],
  });
  caller.abort("gone");
  expect(joined.signal.reason).toBe("gone");
  expect(clock.pendingTimers).toBe(0);
});

test("disposing keeps a later abort from being seen", () => {
  const clock = new FakeClock();
  const caller = new AbortController();
  const joined = joinSignals({ clock, signals: [caller.signal] });
  joined[Symbol.dispose]();
  caller.abort();
  expect(joined.signal.aborted).toBe(false);
});

test("the sooner of two deadlines is kept, and none is later than any", () => {
  expect(soonerOf(5, 3)).toBe(3);
  expect(soonerOf(undefined, 3)).toBe(3);
  expect(soonerOf(undefined, undefined)).toBeUndefined();
});
