import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { type Order, OrderRefusalReason, OrderState } from "@weft/contracts/shop/orders/v1";
import { PaymentService, PaymentState } from "@weft/contracts/shop/payments/v1";
import { SagaAdminService } from "@weft/contracts/weft/saga/v1";
import { eventually } from "@weft/foundation/testing";
import { stepKey } from "@weft/saga";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Laptop, shopClients, startLaptop } from "../e2e/laptop.js";
import { doorOf, orderOf, tokenOf } from "../e2e/shopping.js";

let laptop: Laptop;
let shop: ReturnType<typeof shopClients>;
let productId: string;

beforeAll(async () => {
  laptop = await startLaptop();
  shop = shopClients(laptop.gatewayUrl);
  productId = (await shop.catalog.listProducts({ pageSize: 1 })).products[0]?.productId ?? "";
}, 180_000);

afterAll(async () => {
  await laptop?.[Symbol.asyncDispose]();
}, 60_000);

async function paymentsClient() {
  return createClient(PaymentService, await doorOf(laptop, "payments"));
}

/** What the ledger says: charged, held, and ever authorized. */
async function ledger(): Promise<{ readonly charged: bigint; readonly held: bigint }> {
  const { totals } = await (await paymentsClient()).getLedgerTotals({});
  const euros = totals.find((one) => one.currency === "EUR");
  const captured = euros?.capturedMinorUnits ?? 0n;
  return {
    charged: captured - (euros?.refundedMinorUnits ?? 0n),
    held: (euros?.authorizedMinorUnits ?? 0n) - (euros?.releasedMinorUnits ?? 0n) - captured,
  };
}

async function stock(): Promise<{ readonly available: number; readonly held: number }> {
  const [found] = (await shop.inventory.getStock({ productIds: [productId] })).stocks;
  return { available: found?.available ?? -1, held: found?.held ?? -1 };
}

/** Places an order with a card that is slow; gives its id however the call ends. */
async function place(behaviour: string): Promise<string> {
  const request = await orderOf(shop, { productId, paymentToken: await tokenOf(shop, behaviour) });
  await shop.orders.placeOrder(request, { timeoutMs: 2_000 }).catch((thrown: unknown) => {
    const { code } = ConnectError.from(thrown);
    expect([Code.DeadlineExceeded, Code.Unavailable, Code.Aborted]).toContain(code);
  });
  return (await shop.orders.listOrders({ pageSize: 1 })).orders[0]?.orderId ?? "";
}

/** The order when nothing is under way for it any more, and each state that it was seen in. */
async function settled(orderId: string): Promise<{ readonly order: Order; readonly seen: readonly OrderState[] }> {
  const seen: OrderState[] = [];
  const order = await eventually(
    async () => {
      const { order } = await shop.orders.getOrder({ orderId });
      if (order !== undefined && seen.at(-1) !== order.state) seen.push(order.state);
      return order?.state === OrderState.PLACED ? undefined : order;
    },
    { ceilingMs: 300_000, everyMs: 300, what: `order ${orderId} settled` },
  );
  return { order, seen };
}

async function eventsOf(orderId: string) {
  const admin = createClient(SagaAdminService, await doorOf(laptop, "orders"));
  return (await admin.getSaga({ sagaId: orderId })).steps;
}

test("a card that never answers: its payment is asked about, then undone; one outcome, nothing held, and no answer that comes later changes that", async () => {
  const before = { ledger: await ledger(), stock: await stock() };
  const orderId = await place("time-out");
  const payments = await paymentsClient();
  const authorizeKey = stepKey(orderId, "authorize");
  const { payment } = await eventually(async () => payments.getPayment({ authorizeKey }).catch(() => undefined), {
    ceilingMs: 60_000,
    what: "the payment",
  });
  expect(payment?.state).toBe(PaymentState.PENDING);
  // Before it is given up it is tried and asked about, more than once.
  await eventually(
    async () => ((await eventsOf(orderId)).find((step) => step.name === "authorize")?.attempts ?? 0) > 1,
    { ceilingMs: 60_000, what: "a second attempt" },
  );
  const { order, seen } = await settled(orderId);
  expect(order).toMatchObject({ state: OrderState.REFUSED, refusal: { reason: OrderRefusalReason.UNAVAILABLE } });
  expect(seen).toEqual([OrderState.PLACED, OrderState.REFUSED]);
  const authorize = (await eventsOf(orderId)).find((step) => step.name === "authorize");
  expect(authorize).toMatchObject({ state: "undone", uncertain: true });
  // Undone at payments and at the provider: its key is good for nothing any more.
  expect((await payments.getPayment({ authorizeKey })).payment?.state).toBe(PaymentState.VOIDED);
  const late = await payments
    .authorize({
      idempotencyKey: authorizeKey,
      token: await tokenOf(shop),
      amount: { minorUnits: 100n, currency: "EUR" },
      reference: orderId,
    })
    .then(() => undefined, ConnectError.from);
  expect([Code.FailedPrecondition, Code.AlreadyExists]).toContain(late?.code);
  expect({ ledger: await ledger(), stock: await stock() }).toEqual(before);
}, 400_000);

test("a card that answers after its call was given up is asked about, found, and charged once", async () => {
  const before = { ledger: await ledger(), stock: await stock() };
  const orderId = await place("late");
  const { order } = await settled(orderId);
  expect(order.state).toBe(OrderState.CONFIRMED);
  const after = { ledger: await ledger(), stock: await stock() };
  expect(after.ledger).toEqual({
    charged: before.ledger.charged + (order.totalPrice?.minorUnits ?? 0n),
    held: before.ledger.held,
  });
  expect(after.stock).toEqual({ available: before.stock.available - 1, held: before.stock.held });
}, 400_000);

test("an order that is called off before its card answers lets the money go that the late answer holds", async () => {
  const before = { ledger: await ledger(), stock: await stock() };
  const orderId = await place("late");
  await shop.orders
    .cancelOrder({ idempotencyKey: `c-${orderId}`, orderId }, { timeoutMs: 2_000 })
    .catch(() => undefined);
  await eventually(async () => (await shop.orders.getOrder({ orderId })).order?.state === OrderState.CANCELLED, {
    ceilingMs: 120_000,
    everyMs: 300,
    what: "the order cancelled",
  });
  // Longer than the simulator takes to decide.
  await new Promise((resolve) => setTimeout(resolve, 8_000));
  const payments = await paymentsClient();
  const { payment } = await payments.getPayment({ authorizeKey: stepKey(orderId, "authorize") });
  expect(payment?.state).toBe(PaymentState.VOIDED);
  expect({ ledger: await ledger(), stock: await stock() }).toEqual(before);
}, 240_000);
