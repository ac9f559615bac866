import fc from "fast-check";
import { expect, test } from "vitest";
import { endingOf, parseLines, type Stock, shortagesOf } from "./domain.js";

test("a reservation ends once: the same ending again is done, another is forbidden, and only what was committed is restocked", () => {
  const made = (["held", "committed", "released", "restocked"] as const).map((state) => [
    state,
    ...(["commit", "release", "restock"] as const).map((ending) => {
      const end = endingOf(state, ending);
      return end.t === "change" ? end.to : end.t;
    }),
  ]);
  expect(made).toEqual([
    ["held", "committed", "released", "forbidden"],
    ["committed", "done-already", "forbidden", "restocked"],
    ["released", "forbidden", "done-already", "forbidden"],
    ["restocked", "forbidden", "forbidden", "done-already"],
  ]);
});

test("a line is short exactly when more is asked for than is available", () => {
  fc.assert(
    fc.property(fc.nat(1_000), fc.integer({ min: 1, max: 1_000 }), (available, quantity) => {
      const stocks = new Map<string, Stock>([["tea", { productId: "tea", available, held: 0 }]]);
      const short = shortagesOf([{ productId: "tea", quantity }], stocks);
      expect(short).toEqual(quantity > available ? [{ productId: "tea", requested: quantity, available }] : []);
    }),
  );
});

test("wrong lines are named with their place and value", () => {
  expect(parseLines([])).toEqual({ ok: false, error: "lines: 0 of them, must be 1 to 100" });
  expect(parseLines([{ productId: "tea", quantity: 0 }])).toEqual({
    ok: false,
    error: "lines[0].quantity 0: must be 1 to 1000",
  });
  expect(parseLines([{ productId: "Tea", quantity: 1 }])).toMatchObject({
    ok: false,
    error: expect.stringMatching(/^lines\[0\]\.product_id "Tea"/),
  });
  const twice = [
    { productId: "tea", quantity: 1 },
    { productId: "tea", quantity: 2 },
  ];
  expect(parseLines(twice)).toEqual({ ok: false, error: 'lines[1].product_id "tea": stands twice' });
});
