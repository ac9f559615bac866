import fc from "fast-check";
import { expect, test } from "vitest";
import {
  lineTotal,
  pageTokenBefore,
  parseDraft,
  parsePageToken,
  priceDraft,
  reservationKey,
  totalOf,
} from "./domain.js";

const tea = { productId: "tea", name: "Tea", prices: [{ currency: "EUR", minorUnits: 1_290n }] };

test("the total is the sum of the lines, to the last minor unit, beyond what a double holds", () => {
  const amount = fc.bigInt({ min: 0n, max: 9_000_000_000_000_000n });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(amount, fc.integer({ min: 1, max: 20 })), { minLength: 1, maxLength: 50 }),
      (parts) => {
        const lines = parts.map(([unitPrice, quantity], n) => ({ productId: `p${n}`, name: "", quantity, unitPrice }));
        let sum = 0n;
        for (const line of lines) for (let n = 0; n < line.quantity; n++) sum += line.unitPrice;
        expect(totalOf(lines)).toBe(sum);
      },
    ),
  );
  expect(lineTotal({ productId: "p", name: "", quantity: 3, unitPrice: 9_007_199_254_740_993n })).toBe(
    27_021_597_764_222_979n,
  );
});

test.each([
  [[], "EUR", /^items: 0 of them/],
  [[{ productId: "Tea", quantity: 1 }], "EUR", /^items\[0\]\.product_id "Tea"/],
  [[{ productId: "tea", quantity: 0 }], "EUR", /^items\[0\]\.quantity 0/],
  [[{ productId: "tea", quantity: -5 }], "EUR", /^items\[0\]\.quantity -5/],
  [[{ productId: "tea", quantity: 1 }], "euro", /^currency "euro"/],
  [
    [
      { productId: "tea", quantity: 1 },
      { productId: "tea", quantity: 1 },
    ],
    "EUR",
    /^items\[1\]\.product_id "tea": stands twice/,
  ],
])("a draft of %j in %s is refused by name", (items, currency, message) => {
  const draft = parseDraft(items, currency);
  expect(draft.ok ? "taken" : draft.error).toMatch(message);
});

test("a product that does not exist or is not sold in the currency is named", () => {
  const draft = { items: [{ productId: "tea", quantity: 2 }], currency: "EUR" };
  expect(priceDraft(draft, [tea])).toEqual({
    ok: true,
    value: [{ productId: "tea", name: "Tea", quantity: 2, unitPrice: 1_290n }],
  });
  expect(priceDraft(draft, [])).toEqual({ ok: false, error: 'items[0].product_id "tea": no such product' });
  expect(priceDraft({ ...draft, currency: "JPY" }, [tea])).toEqual({
    ok: false,
    error: 'currency "JPY": "tea" is sold in EUR',
  });
});

test("the reservation's key depends on caller and key, and cannot be made to collide by shifting text between them", () => {
  expect(reservationKey("ann", "k")).toBe(reservationKey("ann", "k"));
  expect(new Set([reservationKey("ann", "k"), reservationKey("an", "nk"), reservationKey("bob", "k")]).size).toBe(3);
  expect(reservationKey("ann", "k".repeat(128)).length).toBeLessThanOrEqual(128);
});

test("a page token survives the way to the caller and back; any other text is refused", () => {
  expect(parsePageToken(pageTokenBefore(42n))).toEqual({ ok: true, value: 42n });
  expect(parsePageToken("")).toEqual({ ok: true, value: undefined });
  expect(parsePageToken("YmVmb3JlOng").ok).toBe(false);
});
