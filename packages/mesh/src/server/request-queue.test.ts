import { describe, expect, test } from "vitest";
import { RequestQueue } from "./request-queue.js";

describe("the requests of a stream", () => {
  test("are asked for one at a time, when wanted", async () => {
    let asked = 0;
    const queue = new RequestQueue<number>(() => {
      asked += 1;
    });
    expect(asked).toBe(0);
    const first = queue.next();
    expect(asked).toBe(1);
    queue.push(1);
    expect(await first).toEqual({ done: false, value: 1 });
    expect(asked).toBe(1);
  });

  test("end after what has arrived, and stay ended", async () => {
    const queue = new RequestQueue<number>(() => {});
    queue.push(1);
    queue.finish();
    queue.fail(() => new Error("too late"));
    const all: number[] = [];
    for await (const value of queue) all.push(value);
    expect(all).toEqual([1]);
    expect(await queue.next()).toEqual({ done: true, value: undefined });
  });

  test("that fail reject each who waits, and each who comes later", async () => {
    const queue = new RequestQueue<number>(() => {});
    const waiting = [queue.next(), queue.next()];
    queue.fail(() => new Error("gone"));
    for (const each of waiting) await expect(each).rejects.toThrow("gone");
    await expect(queue.next()).rejects.toThrow("gone");
  });

  test("left early by a loop ask for no more", async () => {
    let asked = 0;
    const queue = new RequestQueue<number>(() => {
      asked += 1;
      queue.push(asked);
    });
    for await (const value of queue) if (value === 2) break;
    expect(await queue.next()).toEqual({ done: true, value: undefined });
    expect(asked).toBe(2);
  });
});
