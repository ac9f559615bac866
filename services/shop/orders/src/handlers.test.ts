import { Code } from "@connectrpc/connect";
import { OrderRefusalReason, OrderRefusedDetailSchema, OrderState } from "@weft/contracts/shop/orders/v1";
import { eventually } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { cards } from "./testing/fake-shop.js";
import { errorOf, gate, order, startFixture } from "./testing/fixture.js";

function checkout(idempotencyKey: string, cartVersion = 0n) {
  const { items: _, ...rest } = order(idempotencyKey);
  return { ...rest, cartVersion };
}

test("a cart is checked out at the prices of now, and is empty once the order is confirmed", async () => {
  await using fixture = await startFixture();
  const ann = fixture.startReplica().as("ann");
  fixture.shop.cart = {
    version: 3n,
    items: [
      { productId: "tea", quantity: 2 },
      { productId: "rare", quantity: 1 },
    ],
  };
  const { order: bought } = await ann.checkout(checkout("k", 3n));
  expect(bought).toMatchObject({
    state: OrderState.CONFIRMED,
    totalPrice: { minorUnits: 3n * 1_290n + 430n },
    lines: [
      { productId: "tea", quantity: 2 },
      { productId: "rare", quantity: 1 },
    ],
  });
  await fixture.atRest();
  expect(fixture.shop.cart).toEqual({ version: 4n, items: [] });
  // The key stands for that order, whatever the cart has become.
  expect((await ann.checkout(checkout("k", 3n))).order?.orderId).toBe(bought?.orderId);
});

test("what was put into the cart while its order was on its way stays in it", async () => {
  await using fixture = await startFixture();
  const { shop } = fixture;
  shop.cart = { version: 1n, items: [{ productId: "tea", quantity: 1 }] };
  const more = [...shop.cart.items, { productId: "rare", quantity: 1 }];
  const hold = gate();
  shop.break("capture", { t: "late", until: hold.opened });
  const buying = fixture.startReplica().as("ann").checkout(checkout("k"));
  await eventually(() => shop.calls.includes("capture"), { ceilingMs: 20_000, what: "the capture" });
  shop.cart = { version: 2n, items: more };
  hold.open();
  await buying;
  await fixture.atRest();
  expect(shop.cart.items).toEqual(more);
});

test.each([
  ["an empty cart", { version: 1n, items: [] }, 0n, OrderRefusalReason.CART_EMPTY],
  ["another version", { version: 2n, items: [{ productId: "tea", quantity: 1 }] }, 1n, OrderRefusalReason.CART_CHANGED],
  [
    "something sold no more",
    { version: 1n, items: [{ productId: "unknown", quantity: 1 }] },
    0n,
    OrderRefusalReason.CART_CHANGED,
  ],
])("a checkout of %s is refused, and leaves the cart as it is", async (_, cart, version, reason) => {
  await using fixture = await startFixture();
  fixture.shop.cart = cart;
  const error = await errorOf(fixture.startReplica().as("ann").checkout(checkout("k", version)));
  expect([error.code, error.findDetails(OrderRefusedDetailSchema)[0]?.refusal?.reason]).toEqual([
    Code.FailedPrecondition,
    reason,
  ]);
  await fixture.atRest();
  expect(fixture.shop.cart).toBe(cart);
});

test("a declined card leaves the cart as it is", async () => {
  await using fixture = await startFixture();
  const cart = { version: 1n, items: [{ productId: "tea", quantity: 1 }] };
  fixture.shop.cart = cart;
  const error = await errorOf(
    fixture
      .startReplica()
      .as("ann")
      .checkout({ ...checkout("k"), paymentToken: cards.declined }),
  );
  expect(error.code).toBe(Code.FailedPrecondition);
  await fixture.atRest();
  expect(fixture.shop.cart).toBe(cart);
});

test("orders are listed to their owner only, the newest first, page by page", async () => {
  await using fixture = await startFixture();
  const replica = fixture.startReplica();
  const ann = replica.as("ann");
  const ids: string[] = [];
  for (let n = 0; n < 5; n++) ids.unshift((await ann.placeOrder(order(`k${n}`))).order?.orderId ?? "");
  await replica.as("bob").placeOrder(order("k"));
  const first = await ann.listOrders({ pageSize: 3 });
  const second = await ann.listOrders({ pageSize: 3, pageToken: first.nextPageToken });
  expect([...first.orders, ...second.orders].map((listed) => listed.orderId)).toEqual(ids);
  expect(second.nextPageToken).toBe("");
});

test("a watcher that leaves is let go, and another's order cannot be watched", async () => {
  await using fixture = await startFixture();
  const replica = fixture.startReplica();
  const orderId = (await replica.as("ann").placeOrder(order("k"))).order?.orderId ?? "";
  const caller = new AbortController();
  const updates = replica.as("ann").watchOrder({ orderId }, { signal: caller.signal })[Symbol.asyncIterator]();
  await updates.next();
  const next = updates.next();
  caller.abort();
  expect((await errorOf(next)).code).toBe(Code.Canceled);
  const other = replica.as("bob").watchOrder({ orderId });
  expect((await errorOf(other[Symbol.asyncIterator]().next())).code).toBe(Code.NotFound);
  expect((await errorOf(replica.as("ann").getOrder({ orderId: "1" }))).code).toBe(Code.InvalidArgument);
});
