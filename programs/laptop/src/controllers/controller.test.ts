import { silentLogger, WatchSource } from "@weft/foundation";
import { eventually } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { forEach, startController } from "./controller.js";

const patient = { ceilingMs: 10_000 };

test("a round follows each change, one at a time, and a round that fails is tried again", async () => {
  const trigger = new WatchSource(0);
  let running = 0;
  let most = 0;
  let failures = 2;
  let seen = -1;
  await using controller = startController({
    name: "test",
    triggers: [trigger],
    logger: silentLogger,
    async reconcile() {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running -= 1;
      if (failures > 0) {
        failures -= 1;
        throw new Error("the API does not answer");
      }
      seen = trigger.value;
      return undefined;
    },
  });
  await eventually(() => seen === 0, patient);
  for (let change = 1; change <= 20; change++) {
    trigger.set(change);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await eventually(() => seen === 20, patient);
  expect(most).toBe(1);
  await controller[Symbol.asyncDispose]();
  trigger.set(21);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(seen).toBe(20);
});

test("a round is run again after the time that it asks for", async () => {
  let rounds = 0;
  await using _controller = startController({
    name: "test",
    triggers: [],
    logger: silentLogger,
    reconcile: async () => (++rounds < 3 ? 20 : undefined),
  });
  await eventually(() => rounds === 3, patient);
});

test("an object that fails keeps no other from its turn, and every failure is told", async () => {
  const done: number[] = [];
  const work = forEach([1, 2, 3, 4], async (object) => {
    if (object % 2 === 0) throw new Error(`object ${object}`);
    done.push(object);
  });
  await expect(work).rejects.toThrow("several objects failed");
  expect(done).toEqual([1, 3]);
  await expect(forEach([2], () => Promise.reject(new Error("only")))).rejects.toThrow("only");
});
