import fc from "fast-check";
import { expect, test } from "vitest";
import { lineTotal, pageTokenBefore, parseItems, parsePageToken, parseTerms, priceItems, totalOf } from "./domain.js";
import { toRefusalMessage } from "./messages.js";

const tea = { productId: "tea", name: "Tea", weightGrams: 250, prices: [{ currency: "EUR", minorUnits: 1_290n }] };

test("the total is the sum of the lines and of sending them, to the last minor unit, beyond what a double holds", () => {
  const amount = fc.bigInt({ min: 0n, max: 9_000_000_000_000_000n });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(amount, fc.integer({ min: 1, max: 20 })), { minLength: 1, maxLength: 50 }),
      (parts) => {
        const lines = parts.map(([unitPrice, quantity], n) => ({ productId: `p${n}`, name: "", quantity, unitPrice }));
        let sum = 0n;
        for (const line of lines) for (let n = 0; n < line.quantity; n++) sum += line.unitPrice;
        expect(totalOf({ lines, shipping: 7n })).toBe(sum + 7n);
      },
    ),
  );
  expect(lineTotal({ productId: "p", name: "", quantity: 3, unitPrice: 9_007_199_254_740_993n })).toBe(
    27_021_597_764_222_979n,
  );
});

test.each([
  [[], /^items: 0 of them/],
  [[{ productId: "Tea", quantity: 1 }], /^items\[0\]\.product_id "Tea"/],
  [[{ productId: "tea", quantity: 0 }], /^items\[0\]\.quantity 0/],
  [[{ productId: "tea", quantity: -5 }], /^items\[0\]\.quantity -5/],
  [
    [
      { productId: "tea", quantity: 1 },
      { productId: "tea", quantity: 1 },
    ],
    /^items\[1\]\.product_id "tea": stands twice/,
  ],
])("items such as %j are refused by name", (items, message) => {
  const checked = parseItems(items);
  expect(checked.ok ? "taken" : checked.error).toMatch(message);
});

const terms = {
  currency: "EUR",
  paymentToken: "card_1",
  address: { recipient: "Ann", street: "Lane 1", city: "Berlin", postalCode: "", country: "DE" },
  speed: "standard",
} as const;

test("wrong terms are refused by name, without the address in the message", () => {
  expect(parseTerms(terms)).toEqual({ ok: true, value: terms });
  const errorOf = (part: Partial<Parameters<typeof parseTerms>[0]>): string => {
    const checked = parseTerms({ ...terms, ...part });
    return checked.ok ? "taken" : checked.error;
  };
  expect(errorOf({ currency: "euro" })).toMatch(/^currency "euro"/);
  expect(errorOf({ paymentToken: "4 2" })).toMatch(/^payment_token: must be a token/);
  expect(errorOf({ address: undefined })).toMatch(/^delivery\.address: must be set/);
  expect(errorOf({ address: { ...terms.address, city: " " } })).toMatch(/^delivery\.address\.city: must have/);
  expect(errorOf({ address: { ...terms.address, country: "Germany" } })).toMatch(/^delivery\.address\.country: must/);
});

test("a product that does not exist or is not sold in the currency is named", () => {
  const items = [{ productId: "tea", quantity: 2 }];
  expect(priceItems(items, "EUR", [tea])).toEqual({
    ok: true,
    value: { lines: [{ productId: "tea", name: "Tea", quantity: 2, unitPrice: 1_290n }], weightGrams: 500n },
  });
  expect(priceItems(items, "EUR", [])).toEqual({ ok: false, error: 'items[0].product_id "tea": no such product' });
  expect(priceItems(items, "JPY", [tea])).toEqual({ ok: false, error: 'currency "JPY": "tea" is sold in EUR' });
});

test("a page token survives the way to the caller and back; any other text is refused", () => {
  expect(parsePageToken(pageTokenBefore(42n))).toEqual({ ok: true, value: 42n });
  expect(parsePageToken("")).toEqual({ ok: true, value: undefined });
  expect(parsePageToken("YmVmb3JlOng").ok).toBe(false);
});

test("a refusal that quotes a card number typed for a product shows the rest of it", () => {
  const message = 'items[0].product_id "4242424242424242": no such product';
  expect(toRefusalMessage({ reason: "invalid", message, shortages: [] }).message).toBe(
    'items[0].product_id "[card]": no such product',
  );
});
