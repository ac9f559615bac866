import { expect, test } from "vitest";
import { createInterner } from "./interner.js";

test("what repeats is one value, until there is too much of it", () => {
  const interner = createInterner(100, 1_000);
  const first = interner.value("process a", () => ({}));
  expect(interner.value("process a", () => ({}))).toBe(first);
  for (let n = 0; n < 20; n++) interner.value(`process ${n} ${"x".repeat(100)}`, () => ({}));
  expect(interner.value("process a", () => ({}))).not.toBe(first);
});
