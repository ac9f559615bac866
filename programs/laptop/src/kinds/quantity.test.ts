import fc from "fast-check";
import { expect, test } from "vitest";
import { formatMilli, parseMilli } from "./quantity.js";

test.each([
  ["0", 0],
  ["2", 2_000],
  ["250m", 250],
  ["1.5", 1_500],
  [".5", 500],
  ["33.3333", 33_334],
  ["1k", 1_000_000],
  ["2Ki", 2_048_000],
  ["1e3", 1_000_000],
  ["100u", 1],
  ["0.1", 100],
  ["1.1", 1_100],
  ["-250m", -250],
])("%s is %d thousandths", (text, milli) => expect(parseMilli(text)).toBe(milli));

test.each(["", "m", "1 m", "1mm", "1e", "one", "1.2.3", "0x10"])("%j is no quantity", (text) =>
  expect(parseMilli(text)).toBeUndefined(),
);

test("what is written reads as the same number", () => {
  const milli = fc.integer({ min: 0, max: 1e12 });
  fc.assert(
    fc.property(milli, (value) => {
      expect(parseMilli(formatMilli(value))).toBe(value);
    }),
  );
});
