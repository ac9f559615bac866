import { Code } from "@connectrpc/connect";
import { OrderState } from "@weft/contracts/shop/orders/v1";
import { expect, test } from "vitest";
import { errorOf, order, startFixture } from "./testing/fixture.js";

test("an order that the carrier has got is shipped: it is cancelled no more, and can be refunded", async () => {
  await using fixture = await startFixture();
  const ann = fixture.startReplica().as("ann");
  const orderId = (await ann.placeOrder(order("k"))).order?.orderId ?? "";
  fixture.shop.ship();
  await fixture.lookNow();
  for await (const { order: found } of ann.watchOrder({ orderId })) if (found?.state === OrderState.SHIPPED) break;
  const calls = fixture.shop.calls.length;
  const error = await errorOf(ann.cancelOrder({ idempotencyKey: "c", orderId }));
  expect([error.code, error.rawMessage]).toEqual([
    Code.FailedPrecondition,
    `order "${orderId}" was shipped: it cannot be cancelled any more`,
  ]);
  expect(fixture.shop.calls).toHaveLength(calls);
  const amount = { minorUnits: 1_000n, currency: "EUR" };
  const { order: refunded } = await ann.refundOrder({ idempotencyKey: "r", orderId, amount });
  expect(refunded).toMatchObject({ state: OrderState.PARTIALLY_REFUNDED, shipTime: expect.anything() });
  expect((await errorOf(ann.cancelOrder({ idempotencyKey: "d", orderId }))).code).toBe(Code.FailedPrecondition);
  expect([fixture.shop.charged, fixture.shop.openLabels]).toEqual([2_010n, 0]);
});

test("an order whose parcel waits at the shop is looked up again later, each time by one replica", async () => {
  await using fixture = await startFixture();
  const replicas = [fixture.startReplica(), fixture.startReplica()];
  await Promise.all(Array.from({ length: 5 }, (_, n) => replicas[n % 2]?.as("ann").placeOrder(order(`k${n}`))));
  const looked = (): number => fixture.shop.calls.filter((call) => call === "getLabel").length;
  expect(looked()).toBe(0);
  fixture.shop.break("getLabel", { t: "lost" });
  await fixture.lookNow();
  await expect.poll(looked, { timeout: 20_000 }).toBe(5);
  const rows = await fixture.database.query("SELECT 1 FROM orders WHERE look_time > now() AND state = 'confirmed'");
  expect(rows).toHaveLength(5);
  expect(looked()).toBe(5);
});

test("a cancellation that finds the parcel gone leaves the order as it is, and it is shipped soon after", async () => {
  await using fixture = await startFixture();
  const ann = fixture.startReplica().as("ann");
  const orderId = (await ann.placeOrder(order("k"))).order?.orderId ?? "";
  fixture.shop.ship();
  const error = await errorOf(ann.cancelOrder({ idempotencyKey: "c", orderId }));
  expect(error.code).toBe(Code.FailedPrecondition);
  await fixture.lookNow();
  for await (const { order: found } of ann.watchOrder({ orderId })) if (found?.state === OrderState.SHIPPED) break;
  expect(fixture.shop.charged).toBe(3_010n);
});
