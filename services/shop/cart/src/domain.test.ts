import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type Item,
  merged,
  mostItems,
  type Product,
  priced,
  withAdded,
  withoutProduct,
  withQuantity,
} from "./domain.js";

const product = (productId: string, eur = 100n): Product => ({
  productId,
  name: productId,
  weightGrams: 250,
  prices: [{ currency: "EUR", minorUnits: eur }],
});

const item = (productId: string, quantity: number, added = 0, eur = 100n): Item => ({
  productId,
  name: productId,
  quantity,
  prices: product(productId, eur).prices,
  addTime: new Date(added),
});

const anyItems = fc
  .uniqueArray(
    fc.record({
      id: fc.integer({ min: 0, max: 70 }),
      quantity: fc.integer({ min: 1, max: 1_000 }),
      added: fc.nat(100),
    }),
    { selector: ({ id }) => id, maxLength: mostItems },
  )
  .map((items) => items.map(({ id, quantity, added }) => item(`p${id}`, quantity, added)));

test("two carts together hold what each held, up to the limits, and name what is left out", () => {
  fc.assert(
    fc.property(anyItems, anyItems, (own, other) => {
      const { items, leftOut } = merged(own, other);
      expect(items.length).toBeLessThanOrEqual(mostItems);
      expect(items.slice(0, own.length).map((one) => one.productId)).toEqual(own.map((one) => one.productId));
      const ids = new Set(items.map((one) => one.productId));
      expect(ids.size).toBe(items.length);
      for (const { productId } of other) expect(ids.has(productId)).toBe(!leftOut.includes(productId));
      for (const { productId, quantity, addTime } of items) {
        const of = [own, other].flatMap((cart) => cart.filter((one) => one.productId === productId));
        expect(quantity).toBe(
          Math.min(
            1_000,
            of.reduce((sum, one) => sum + one.quantity, 0),
          ),
        );
        expect(addTime.getTime()).toBe(Math.min(...of.map((one) => one.addTime.getTime())));
      }
    }),
  );
});

test("adding adds up to 1000 of one product and to 50 products, and keeps what was remembered first", () => {
  const once = withAdded([], product("tea", 100n), 999, new Date(1)) ?? [];
  const twice = withAdded(once, product("tea", 120n), 5, new Date(2));
  expect(twice).toEqual([item("tea", 1_000, 1, 100n)]);
  const full = Array.from({ length: mostItems }, (_, n) => item(`p${n}`, 1));
  expect(withAdded(full, product("tea"), 1, new Date(1))).toBeUndefined();
  expect(withAdded(full, product("p1"), 1, new Date(1))?.[1]?.quantity).toBe(2);
  expect(withQuantity(full, "tea", 1)).toBeUndefined();
  expect(withoutProduct(full, "p0")).toHaveLength(mostItems - 1);
});

test("a checkout says what changed since things were added, and counts what is sold", () => {
  const items = [item("same", 2), item("up", 1), item("down", 1), item("gone", 9), item("dollars", 1)];
  const dollars = { ...product("dollars"), prices: [{ currency: "USD", minorUnits: 1n }] };
  const checkout = priced(items, [product("same"), product("up", 101n), product("down", 99n), dollars], "EUR");
  expect(checkout.lines.map((line) => line.change)).toEqual(["none", "price-up", "price-down", "not-sold", "not-sold"]);
  expect(checkout).toMatchObject({ totalPrice: 400n, weightGrams: 1_000n, changed: true });
  expect(priced([item("same", 3)], [product("same")], "EUR")).toMatchObject({ totalPrice: 300n, changed: false });
});
