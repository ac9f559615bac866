import { Code } from "@connectrpc/connect";
import { OrderRefundState, OrderState, type WatchOrderResponse } from "@weft/contracts/shop/orders/v1";
import { eventually } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { errorOf, type Fixture, gate, type Orders, order, startFixture } from "./testing/fixture.js";

async function placed(orders: Orders, key = "k"): Promise<string> {
  return (await orders.placeOrder(order(key))).order?.orderId ?? "";
}

/** Charged, held, sold, labels that are good: what a test looks at together. */
function standing({ shop }: Fixture): [charged: bigint, holds: number, held: number, sold: number, labels: number] {
  return [shop.charged, shop.holds, shop.held, shop.sold, shop.openLabels];
}

test("a confirmed order is cancelled: refunded, its label cancelled, its stock back; again it changes nothing", async () => {
  await using fixture = await startFixture();
  const [watcher, changer] = [fixture.startReplica().as("ann"), fixture.startReplica().as("ann")];
  const orderId = await placed(changer);
  const seen: WatchOrderResponse[] = [];
  for await (const update of watcher.watchOrder({ orderId })) {
    seen.push(update);
    if (seen.length > 1) continue;
    const reply = await changer.cancelOrder({ idempotencyKey: "c", orderId });
    expect(reply.order).toMatchObject({ state: OrderState.CANCELLED, refundedPrice: { minorUnits: 3_010n } });
  }
  expect(seen.at(0)?.order?.state).toBe(OrderState.CONFIRMED);
  expect(seen.at(-1)?.order?.state).toBe(OrderState.CANCELLED);
  expect(standing(fixture)).toEqual([0n, 0, 0, 0, 0]);
  expect(fixture.shop.stock.get("tea")).toBe(1_000);
  const calls = fixture.shop.calls.length;
  for (const key of ["c", "c2"]) await changer.cancelOrder({ idempotencyKey: key, orderId });
  expect(fixture.shop.calls).toHaveLength(calls);
  expect((await errorOf(fixture.startReplica().as("bob").cancelOrder({ idempotencyKey: "x", orderId }))).code).toBe(
    Code.NotFound,
  );
});

test("an order that is not paid yet turns back when it is cancelled: nothing is ever charged", async () => {
  await using fixture = await startFixture();
  const ann = fixture.startReplica().as("ann");
  const hold = gate();
  fixture.shop.break("authorize", { t: "late", until: hold.opened });
  const placing = ann.placeOrder(order("k"));
  await eventually(() => fixture.shop.calls.includes("authorize"), { ceilingMs: 20_000, what: "the payment" });
  const orderId = (await ann.listOrders({})).orders[0]?.orderId ?? "";
  const cancelling = ann.cancelOrder({ idempotencyKey: "c", orderId });
  await eventually(async () => (await ann.getOrder({ orderId })).order?.state === OrderState.CANCELLING, {
    ceilingMs: 20_000,
    what: "the order turning back",
  });
  hold.open();
  expect((await cancelling).order?.state).toBe(OrderState.CANCELLED);
  // Who placed it is told as soon as it is on its way back.
  expect([OrderState.CANCELLING, OrderState.CANCELLED]).toContain((await placing).order?.state);
  await fixture.atRest();
  expect(standing(fixture)).toEqual([0n, 0, 0, 0, 0]);
  expect([fixture.shop.captures, fixture.shop.stock.get("tea")]).toEqual([0, 1_000]);
});

test("a cancellation that comes when the capture is under way lets it end, and gives the money back", async () => {
  await using fixture = await startFixture();
  const ann = fixture.startReplica().as("ann");
  const hold = gate();
  fixture.shop.break("capture", { t: "late", until: hold.opened });
  const placing = ann.placeOrder(order("k"));
  await eventually(() => fixture.shop.calls.includes("capture"), { ceilingMs: 20_000, what: "the capture" });
  const orderId = (await ann.listOrders({})).orders[0]?.orderId ?? "";
  const cancelling = ann.cancelOrder({ idempotencyKey: "c", orderId });
  hold.open();
  expect((await cancelling).order?.state).toBe(OrderState.CANCELLED);
  await placing;
  await fixture.atRest();
  expect(standing(fixture)).toEqual([0n, 0, 0, 0, 0]);
  expect([fixture.shop.captures, fixture.shop.stock.get("tea")]).toEqual([1, 1_000]);
});

test("cancellations that race their orders at every moment leave nothing charged, held or sold", async () => {
  await using fixture = await startFixture();
  const replicas = [fixture.startReplica().as("ann"), fixture.startReplica().as("ann")];
  await Promise.all(
    Array.from({ length: 24 }, async (_, n) => {
      const [one, other] = n % 2 === 0 ? replicas : [...replicas].reverse();
      if (one === undefined || other === undefined) throw new Error("no replica");
      const pending = await one.placeOrder(order(`k${n}`), { timeoutMs: 20 + n * 12 }).catch(() => undefined);
      const orderId = pending?.order?.orderId ?? (await one.placeOrder(order(`k${n}`))).order?.orderId ?? "";
      const keys = [`c${n}`, `d${n}`];
      const ends = await Promise.all(keys.map((idempotencyKey) => other.cancelOrder({ idempotencyKey, orderId })));
      expect(ends.map((end) => end.order?.state)).toEqual([OrderState.CANCELLED, OrderState.CANCELLED]);
    }),
  );
  await fixture.atRest();
  expect(standing(fixture)).toEqual([0n, 0, 0, 0, 0]);
  expect(fixture.shop.stock.get("tea")).toBe(1_000);
}, 60_000);

test("an order that the carrier has got is cancelled no more, and stays as it is", async () => {
  await using fixture = await startFixture();
  const ann = fixture.startReplica().as("ann");
  const orderId = await placed(ann);
  fixture.shop.ship();
  for (const idempotencyKey of ["c", "c", "d"]) {
    const error = await errorOf(ann.cancelOrder({ idempotencyKey, orderId }));
    expect([error.code, error.rawMessage]).toEqual([Code.FailedPrecondition, "refused: SHIPPED"]);
  }
  expect((await ann.getOrder({ orderId })).order?.state).toBe(OrderState.CONFIRMED);
  expect([fixture.shop.charged, fixture.shop.sold]).toEqual([3_010n, 2]);
});

test.each(["cancelLabel", "refund", "restock"])("a lost answer of %s cancels an order once", async (method) => {
  await using fixture = await startFixture();
  const ann = fixture.startReplica().as("ann");
  const orderId = await placed(ann);
  fixture.shop.break(method, { t: "answer-lost" }, { t: "lost" });
  expect((await ann.cancelOrder({ idempotencyKey: "c", orderId })).order?.state).toBe(OrderState.CANCELLED);
  expect(standing(fixture)).toEqual([0n, 0, 0, 0, 0]);
  expect(fixture.shop.stock.get("tea")).toBe(1_000);
});

test("a part is refunded, once for its key; then the rest, and never more than was paid", async () => {
  await using fixture = await startFixture();
  const ann = fixture.startReplica().as("ann");
  const orderId = await placed(ann);
  const part = { idempotencyKey: "r", orderId, amount: { minorUnits: 1_000n, currency: "EUR" } };
  fixture.shop.break("refund", { t: "answer-lost" });
  const first = await ann.refundOrder(part);
  expect(first).toMatchObject({
    state: OrderRefundState.DONE,
    amount: { minorUnits: 1_000n },
    order: { state: OrderState.PARTIALLY_REFUNDED, refundedPrice: { minorUnits: 1_000n } },
  });
  expect((await ann.refundOrder(part)).refundId).toBe(first.refundId);
  expect(fixture.shop.charged).toBe(2_010n);
  const more = await errorOf(
    ann.refundOrder({ idempotencyKey: "s", orderId, amount: { minorUnits: 2_011n, currency: "EUR" } }),
  );
  expect([more.code, more.rawMessage]).toEqual([
    Code.FailedPrecondition,
    `amount: only 2010 is left of what was paid for order "${orderId}"`,
  ]);
  expect((await ann.refundOrder({ idempotencyKey: "t", orderId })).order).toMatchObject({
    state: OrderState.REFUNDED,
    refundedPrice: { minorUnits: 3_010n },
  });
  expect((await errorOf(ann.refundOrder({ idempotencyKey: "u", orderId }))).code).toBe(Code.FailedPrecondition);
  expect(fixture.shop.charged).toBe(0n);
  // It can still be called off: there is nothing left to give back.
  expect((await ann.cancelOrder({ idempotencyKey: "c", orderId })).order?.state).toBe(OrderState.CANCELLED);
  expect(standing(fixture)).toEqual([0n, 0, 0, 0, 0]);
});

test("many refunds and a cancellation at once give back exactly what was paid", async () => {
  await using fixture = await startFixture();
  const replicas = [fixture.startReplica().as("ann"), fixture.startReplica().as("ann")];
  const [ann] = replicas;
  if (ann === undefined) throw new Error("no replica");
  const orderId = await placed(ann);
  const amount = { minorUnits: 900n, currency: "EUR" };
  const refunds = await Promise.allSettled(
    Array.from({ length: 10 }, (_, n) => replicas[n % 2]?.refundOrder({ idempotencyKey: `r${n}`, orderId, amount })),
  );
  expect(refunds.filter((refund) => refund.status === "fulfilled")).toHaveLength(3);
  expect([fixture.shop.charged, fixture.shop.refunds.size]).toEqual([310n, 3]);
  const [refund, cancel] = await Promise.allSettled([
    replicas[1]?.refundOrder({ idempotencyKey: "last", orderId }),
    ann.cancelOrder({ idempotencyKey: "c", orderId }),
  ]);
  expect(cancel).toMatchObject({ status: "fulfilled", value: { order: { state: OrderState.CANCELLED } } });
  expect(["fulfilled", "rejected"]).toContain(refund.status);
  await fixture.atRest();
  expect(standing(fixture)).toEqual([0n, 0, 0, 0, 0]);
});

test("nothing is refunded of an order that is not paid, or not the caller's", async () => {
  await using fixture = await startFixture();
  const replica = fixture.startReplica();
  const ann = replica.as("ann");
  await errorOf(ann.placeOrder(order("k", { productId: "unknown" })));
  const refused = (await ann.listOrders({})).orders[0]?.orderId ?? "";
  expect((await errorOf(ann.refundOrder({ idempotencyKey: "r", orderId: refused }))).code).toBe(
    Code.FailedPrecondition,
  );
  expect((await errorOf(ann.cancelOrder({ idempotencyKey: "c", orderId: refused }))).code).toBe(
    Code.FailedPrecondition,
  );
  const orderId = await placed(ann, "paid");
  expect((await errorOf(replica.as("bob").refundOrder({ idempotencyKey: "r", orderId }))).code).toBe(Code.NotFound);
  const yen = { idempotencyKey: "y", orderId, amount: { minorUnits: 1n, currency: "JPY" } };
  expect((await errorOf(ann.refundOrder(yen))).code).toBe(Code.FailedPrecondition);
  const none = { idempotencyKey: "z", orderId, amount: { minorUnits: 0n, currency: "EUR" } };
  expect((await errorOf(ann.refundOrder(none))).code).toBe(Code.InvalidArgument);
});
