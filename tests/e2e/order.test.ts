import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { OutOfStockDetailSchema } from "@weft/contracts/shop/inventory/v1";
import { OrderRefusalReason, OrderRefusedDetailSchema, OrderState } from "@weft/contracts/shop/orders/v1";
import { eventually } from "@weft/foundation/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { declaredEdges } from "./declared-edges.js";
import { type Laptop, shopClients, startLaptop } from "./laptop.js";
import { delivery, orderEdges, orderOf, tokenOf } from "./shopping.js";
import { edgesOf, rootsAndOrphans, wholeTrace } from "./traces.js";

let laptop: Laptop;
let shop: ReturnType<typeof shopClients>;
let goodCard: string;

beforeAll(async () => {
  laptop = await startLaptop();
  shop = shopClients(laptop.gatewayUrl);
  goodCard = await tokenOf(shop);
}, 180_000);

afterAll(async () => {
  await laptop?.[Symbol.asyncDispose]();
}, 60_000);

async function anyProduct(): Promise<string> {
  const page = await shop.catalog.listProducts({ pageSize: 1 });
  return page.products[0]?.productId ?? "";
}

async function placeOrder(productId: string, quantity = 1, idempotencyKey = randomUUID(), paymentToken = goodCard) {
  let traceId = "";
  const reply = await shop.orders.placeOrder(
    await orderOf(shop, { productId, quantity, idempotencyKey, paymentToken }),
    { onHeader: (headers) => (traceId = traceIdOf(headers)) },
  );
  return { order: reply.order, traceId };
}

function traceIdOf(headers: Headers): string {
  return /^00-([0-9a-f]{32})-/.exec(headers.get("traceparent") ?? "")?.[1] ?? "";
}

describe("one order is one trace", () => {
  test("fifty orders give fifty traces, each with one root, no orphan, and exactly the declared edges", async () => {
    expect(declaredEdges()).toEqual(expect.arrayContaining(orderEdges));
    const productId = await anyProduct();
    const traceIds: string[] = [];
    for (let run = 0; run < 50; run += 1) traceIds.push((await placeOrder(productId)).traceId);
    expect(new Set(traceIds).size).toBe(50);
    for (const traceId of traceIds) {
      const trace = await wholeTrace(laptop.tracesUrl, traceId, orderEdges);
      expect(edgesOf(trace)).toEqual(orderEdges);
      expect(rootsAndOrphans(trace)).toEqual({ roots: 1, orphans: 0 });
    }
  }, 180_000);

  test("a cart that is checked out is one trace too, through every service of the shop, and is empty afterwards", async () => {
    const productId = await anyProduct();
    const { cart } = await shop.cart.addItem({ idempotencyKey: randomUUID(), productId, quantity: 2 });
    let traceId = "";
    const { order } = await shop.orders.checkout(
      {
        idempotencyKey: randomUUID(),
        cartVersion: cart?.version ?? 0n,
        currency: "EUR",
        paymentToken: goodCard,
        delivery,
      },
      { onHeader: (headers) => (traceId = traceIdOf(headers)) },
    );
    expect(order).toMatchObject({ state: OrderState.CONFIRMED, lines: [{ productId, quantity: 2 }] });
    const edges = [...orderEdges, "orders→cart"].sort();
    const trace = await wholeTrace(laptop.tracesUrl, traceId, edges);
    expect(edgesOf(trace)).toEqual(edges);
    expect(rootsAndOrphans(trace)).toEqual({ roots: 1, orphans: 0 });
    await eventually(async () => (await shop.cart.getCart({})).cart?.items.length === 0, {
      ceilingMs: 20_000,
      what: "an empty cart",
    });
  });

  test("an order is confirmed and paid; cancelled, it leaves nothing sold and nothing charged", async () => {
    const productId = await anyProduct();
    const stockOf = async () => (await shop.inventory.getStock({ productIds: [productId] })).stocks[0];
    const before = await stockOf();
    const { order } = await placeOrder(productId);
    expect(order).toMatchObject({ state: OrderState.CONFIRMED, trackingCode: expect.stringMatching(/\S/) });
    expect(await stockOf()).toMatchObject({ available: (before?.available ?? 0) - 1, held: 0 });
    const orderId = order?.orderId ?? "";
    const amount = { minorUnits: 100n, currency: "EUR" };
    const refunded = await shop.orders.refundOrder({ idempotencyKey: randomUUID(), orderId, amount });
    expect(refunded.order).toMatchObject({ state: OrderState.PARTIALLY_REFUNDED, refundedPrice: amount });
    const { order: cancelled } = await shop.orders.cancelOrder({ idempotencyKey: randomUUID(), orderId });
    expect(cancelled).toMatchObject({ state: OrderState.CANCELLED, refundedPrice: cancelled?.totalPrice });
    expect(await stockOf()).toEqual(before);
  });

  test("the trace page of an order is served beside Jaeger's query API", async () => {
    const { traceId } = await placeOrder(await anyProduct());
    const page = await fetch(`${laptop.tracesUrl}/trace/${traceId}`);
    expect(page.status).toBe(200);
    expect(page.headers.get("content-type")).toMatch(/^text\/html/);
    const services: unknown = await (await fetch(`${laptop.tracesUrl}/api/services`)).json();
    expect(services).toMatchObject({ data: expect.arrayContaining(["gateway", "orders"]) });
  });
});

describe("exactly one effect", () => {
  test("the same order sent fifty times at once is one order and one reply", async () => {
    const productId = await anyProduct();
    const key = randomUUID();
    const replies = await Promise.all(Array.from({ length: 50 }, () => placeOrder(productId, 1, key)));
    expect(new Set(replies.map((reply) => reply.order?.orderId)).size).toBe(1);
    const listed = await shop.orders.listOrders({ pageSize: 100 });
    expect(listed.orders.filter((order) => order.orderId === replies[0]?.order?.orderId)).toHaveLength(1);
  });

  test("the same key with another body is refused", async () => {
    const productId = await anyProduct();
    const key = randomUUID();
    await placeOrder(productId, 1, key);
    await expect(placeOrder(productId, 2, key)).rejects.toMatchObject({ code: Code.AlreadyExists });
  });

  test("out of stock names the product and what is left", async () => {
    const productId = "tea-gyokuro"; // seeded with a handful
    const stock = await shop.inventory.getStock({ productIds: [productId] });
    await placeOrder(productId, stock.stocks[0]?.available);
    const error = await placeOrder(productId).catch((reason: unknown) => ConnectError.from(reason));
    if (!(error instanceof ConnectError)) throw new Error("an order without stock was taken");
    expect(error.code).toBe(Code.FailedPrecondition);
    const shortages = error.findDetails(OutOfStockDetailSchema).flatMap((detail) => detail.shortages);
    expect(shortages).toMatchObject([{ productId, requested: 1, available: 0 }]);
  });

  test("a card that its bank declines buys nothing, and says why", async () => {
    const productId = await anyProduct();
    const declined = await tokenOf(shop, "card-declined");
    const error = await placeOrder(productId, 1, randomUUID(), declined).catch((reason: unknown) =>
      ConnectError.from(reason),
    );
    if (!(error instanceof ConnectError)) throw new Error("an order by a declined card was taken");
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(error.findDetails(OrderRefusedDetailSchema)[0]?.refusal?.reason).toBe(OrderRefusalReason.CARD_DECLINED);
    expect((await shop.inventory.getStock({ productIds: [productId] })).stocks[0]?.held).toBe(0);
  });

  test("an order without an item is refused with the field's name", async () => {
    const request = await orderOf(shop, { productId: "none", paymentToken: goodCard });
    const empty = shop.orders.placeOrder({ ...request, items: [] });
    await expect(empty).rejects.toMatchObject({
      code: Code.InvalidArgument,
      message: expect.stringContaining("items"),
    });
  });
});

test("an order can be watched while it changes", async () => {
  const { order } = await placeOrder((await shop.catalog.listProducts({ pageSize: 5 })).products[3]?.productId ?? "");
  const states: OrderState[] = [];
  for await (const update of shop.orders.watchOrder({ orderId: order?.orderId ?? "" })) {
    states.push(update.order?.state ?? OrderState.UNSPECIFIED);
    if (states.length === 1)
      await shop.orders.cancelOrder({ idempotencyKey: randomUUID(), orderId: order?.orderId ?? "" });
  }
  // A slow reader may miss that it is being cancelled.
  const lasting = states.filter((state) => state !== OrderState.CANCELLING);
  expect(lasting).toEqual([OrderState.CONFIRMED, OrderState.CANCELLED]);
});

test("metadata weft-user from outside is refused", async () => {
  const call = shop.orders.listOrders({}, { headers: { "weft-user": "somebody-else" } });
  await expect(call).rejects.toBeInstanceOf(ConnectError);
});

test("a method that is not public has no route at the gateway", async () => {
  await expect(shop.catalog.batchGetProducts({ productIds: ["x"] })).rejects.toMatchObject({
    code: Code.Unimplemented,
  });
});
