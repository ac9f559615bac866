import { expect, test } from "vitest";
import { WatchSource } from "./watch.js";

test("changes yields the value now and then the newest, and ends when the signal aborts", async () => {
  const source = new WatchSource(1);
  const abort = new AbortController();
  const seen: number[] = [];
  for await (const value of source.changes(abort.signal)) {
    seen.push(value);
    if (value === 1) {
      source.set(2);
      source.set(3);
    }
    if (value === 3) abort.abort();
  }
  expect(seen).toEqual([1, 3]);
});

test("until rejects with the reason of its signal and leaves no listener", async () => {
  const source = new WatchSource(0);
  const abort = new AbortController();
  const waiting = source.until((value) => value > 5, abort.signal);
  abort.abort(new Error("given up"));
  await expect(waiting).rejects.toThrow("given up");
});

test("a value that is the same is no change", () => {
  const source = new WatchSource("a");
  let calls = 0;
  using _subscription = source.subscribe(() => calls++);
  source.set("a");
  source.set("b");
  expect(calls).toBe(1);
});

test("a reader that changes the value in turn leaves nobody with the older one", () => {
  const source = new WatchSource(0);
  using _first = source.subscribe((value) => {
    if (value === 1) source.set(2);
  });
  const seen: number[] = [];
  using _second = source.subscribe((value) => void seen.push(value));
  source.set(1);
  expect(seen).toEqual([2]);
});
