import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { OutOfStockDetailSchema } from "@weft/contracts/shop/inventory/v1";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { declaredEdges } from "./declared-edges.js";
import { type Laptop, shopClients, startLaptop } from "./laptop.js";
import { edgesOf, rootsAndOrphans, wholeTrace } from "./traces.js";

let laptop: Laptop;
let shop: ReturnType<typeof shopClients>;

beforeAll(async () => {
  laptop = await startLaptop();
  shop = shopClients(laptop.gatewayUrl);
}, 180_000);

afterAll(async () => {
  await laptop?.[Symbol.asyncDispose]();
}, 60_000);

/** The edges of the declared ones that placing an order uses. */
const orderEdges = ["gateway→orders", "orders→catalog", "orders→inventory"];

async function anyProduct(): Promise<string> {
  const page = await shop.catalog.listProducts({ pageSize: 1 });
  return page.products[0]?.productId ?? "";
}

async function placeOrder(productId: string, quantity = 1, idempotencyKey = randomUUID()) {
  let traceId = "";
  const reply = await shop.orders.placeOrder(
    { idempotencyKey, items: [{ productId, quantity }], currency: "EUR" },
    {
      onHeader: (headers) => {
        traceId = /^00-([0-9a-f]{32})-/.exec(headers.get("traceparent") ?? "")?.[1] ?? "";
      },
    },
  );
  return { order: reply.order, traceId };
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

  test("an order without an item is refused with the field's name", async () => {
    const empty = shop.orders.placeOrder({ idempotencyKey: randomUUID(), items: [], currency: "EUR" });
    await expect(empty).rejects.toMatchObject({
      code: Code.InvalidArgument,
      message: expect.stringContaining("items"),
    });
  });
});

test("an order can be watched while it changes", async () => {
  const { order } = await placeOrder((await shop.catalog.listProducts({ pageSize: 5 })).products[3]?.productId ?? "");
  const states: number[] = [];
  for await (const update of shop.orders.watchOrder({ orderId: order?.orderId ?? "" })) {
    states.push(update.order?.state ?? 0);
    if (states.length === 1)
      await shop.orders.cancelOrder({ idempotencyKey: randomUUID(), orderId: order?.orderId ?? "" });
  }
  expect(states).toEqual([1, 2]);
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
