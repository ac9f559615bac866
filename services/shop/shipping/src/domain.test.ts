import fc from "fast-check";
import { expect, test } from "vitest";
import { cancelOf, parseAddress, parseQuestion, quotesOf, scanOf, zoneOf } from "./domain.js";

const country = fc.constantFrom("DE", "FR", "PL", "US", "JP", "AQ");
const currency = fc.constantFrom("EUR" as const, "USD" as const);
const weight = fc.bigInt({ min: 1n, max: 2_000_000n });

test("a heavier shipment never costs less, farther is never cheaper, and express is never the cheaper of the two", () => {
  fc.assert(
    fc.property(country, currency, weight, weight, (to, currency, a, b) => {
      const [lighter, heavier] = a < b ? [a, b] : [b, a];
      const [one] = quotesOf({ country: to, weightGrams: lighter, currency });
      const [other] = quotesOf({ country: to, weightGrams: heavier, currency });
      expect(other?.price ?? -1n).toBeGreaterThanOrEqual(one?.price ?? 0n);
      const prices = ["DE", "FR", "US"].map(
        (where) => quotesOf({ country: where, weightGrams: a, currency })[0]?.price ?? 0n,
      );
      expect(prices).toEqual([...prices].sort((x, y) => Number(x - y)));
      const quotes = quotesOf({ country: to, weightGrams: a, currency });
      expect(quotes[0]?.speed).toBe("standard");
      expect(quotes.map((quote) => quote.price)).toEqual(
        quotes.map((quote) => quote.price).sort((x, y) => Number(x - y)),
      );
    }),
  );
});

test("a price counts begun kilograms, in as many parcels as it takes", () => {
  const price = (weightGrams: bigint) => quotesOf({ country: "DE", weightGrams, currency: "EUR" })[0];
  expect(price(1n)).toEqual({ speed: "standard", price: 430n, parcels: 1, days: 3 });
  expect(price(1_000n)?.price).toBe(430n);
  expect(price(1_001n)?.price).toBe(470n);
  expect(price(20_000n)).toMatchObject({ price: 1_190n, parcels: 1 });
  expect(price(20_001n)).toMatchObject({ price: 1_620n, parcels: 2 });
  expect(quotesOf({ country: "DE", weightGrams: 1n, currency: "USD" })[0]?.price).toBe(473n);
});

test("no express goes where no plane does, nor with the heaviest shipments", () => {
  const speeds = (to: string, weightGrams: bigint) => quotesOf({ country: to, weightGrams, currency: "EUR" }).length;
  expect([speeds("US", 60_000n), speeds("US", 60_001n), speeds("AQ", 1n)]).toEqual([2, 1, 1]);
  expect([zoneOf("DE"), zoneOf("FR"), zoneOf("US")]).toEqual(["home", "near", "far"]);
});

test("a label goes its way once, and can be cancelled until the carrier has it", () => {
  expect([cancelOf("created"), cancelOf("cancelled"), cancelOf("handed-over"), cancelOf("delivered")]).toEqual([
    "change",
    "done-already",
    "shipped",
    "shipped",
  ]);
  expect(scanOf("created", "handed-over")).toBe("change");
  expect(scanOf("created", "delivered")).toBe("change");
  expect(scanOf("delivered", "handed-over")).toBe("done-already");
  expect(scanOf("cancelled", "handed-over")).toBe("cancelled");
});

test("what is wrong with an address is named by its field, and what it says is not repeated", () => {
  const address = { recipient: "Ann", street: "Long Lane 1", city: "Bremen", postalCode: "28195", country: "DE" };
  expect(parseAddress(address)).toEqual({ ok: true, value: address });
  for (const [field, value] of [
    ["recipient", " "],
    ["street", "x".repeat(101)],
    ["city", ""],
  ] as const)
    expect(parseAddress({ ...address, [field]: value })).toEqual({
      ok: false,
      error: `address.${field}: must have 1 to 100 characters`,
    });
  expect(parseAddress({ ...address, country: "Germany" }).ok).toBe(false);
  expect(parseAddress(undefined).ok).toBe(false);
  for (const weightGrams of [0n, -1n, 2_000_001n])
    expect(parseQuestion({ country: "DE", weightGrams, currency: "EUR" }).ok).toBe(false);
  expect(parseQuestion({ country: "DE", weightGrams: 1n, currency: "JPY" }).ok).toBe(false);
});
