import { expect, test } from "vitest";
import { Scope } from "./scope.js";

test("resources are disposed in reverse order, and an error in one does not keep the others", async () => {
  const order: string[] = [];
  const scope = new Scope();
  scope.defer(() => void order.push("first"));
  scope.defer(() => {
    throw new Error("second is broken");
  });
  scope.defer(() => void order.push("third"));
  await expect(scope[Symbol.asyncDispose]()).rejects.toThrow("second is broken");
  expect(order).toEqual(["third", "first"]);
});

test("a task that fails aborts the scope and rejects failed with its error", async () => {
  await using scope = new Scope();
  scope.spawn(async () => {
    throw new Error("lost the database");
  });
  await expect(scope.failed).rejects.toThrow("lost the database");
  expect(scope.signal.aborted).toBe(true);
});

test("a task that ends because the scope ends is no failure", async () => {
  const scope = new Scope();
  scope.spawn((signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))));
  await scope[Symbol.asyncDispose]();
});

test("a failure in a child scope fails its parent", async () => {
  await using scope = new Scope();
  scope.child().spawn(async () => {
    throw new Error("inner");
  });
  await expect(scope.failed).rejects.toThrow("inner");
});
