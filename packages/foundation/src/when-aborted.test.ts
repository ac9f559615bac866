import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { whenAborted } from "./when-aborted.js";

test("a thousand who wait for one signal make no warning, and each is told once", async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on("warning", onWarning);
  const controller = new AbortController();
  const told: unknown[] = [];
  for (let n = 0; n < 1_000; n += 1) whenAborted(controller.signal, (reason) => void told.push(reason));
  await new Promise((resolve) => setImmediate(resolve));
  controller.abort("over");
  process.off("warning", onWarning);
  expect(warnings).toEqual([]);
  expect(told).toEqual(Array(1_000).fill("over"));
});

test("a signal that has aborted tells at once", () => {
  const told: unknown[] = [];
  whenAborted(AbortSignal.abort("over"), (reason) => void told.push(reason));
  expect(told).toEqual(["over"]);
});

test("who has left is not told, not even when another's listener made it leave", () => {
  const controller = new AbortController();
  const told: string[] = [];
  const gone = whenAborted(controller.signal, () => void told.push("gone"));
  gone[Symbol.dispose]();
  whenAborted(controller.signal, () => {
    told.push("first");
    second[Symbol.dispose]();
  });
  const second = whenAborted(controller.signal, () => void told.push("second"));
  controller.abort();
  expect(told).toEqual(["first"]);
});

test("the listener goes with the last who waits, and comes again with the next", () => {
  const { signal } = new AbortController();
  for (let round = 0; round < 2; round += 1) {
    const first = whenAborted(signal, () => {});
    const second = whenAborted(signal, () => {});
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    first[Symbol.dispose]();
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    second[Symbol.dispose]();
    second[Symbol.dispose]();
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  }
});
