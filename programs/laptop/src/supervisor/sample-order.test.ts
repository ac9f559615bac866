import { createServer } from "node:http";
import { expect, test } from "vitest";
import { formatMoney, placeSampleOrder } from "./sample-order.js";

test("money is shown by the digits of its currency", () => {
  expect(formatMoney({ minorUnits: "3980", currency: "EUR" })).toBe("39.80 EUR");
  expect(formatMoney({ minorUnits: "5", currency: "EUR" })).toBe("0.05 EUR");
  expect(formatMoney({ minorUnits: "5", currency: "JPY" })).toBe("5 JPY");
  expect(formatMoney({ minorUnits: "-1999", currency: "USD" })).toBe("-19.99 USD");
});

const traceId = "0af7651916cd43dd8448eb211c80319c";

/** A gateway before a shop that answers what a sample order asks; the first call that places an order fails. */
async function startShop(cart: object): Promise<Disposable & { readonly origin: string; readonly calls: Call[] }> {
  const calls: Call[] = [];
  const product = { productId: "tea", name: "Sencha", prices: [{ minorUnits: "990", currency: "EUR" }] };
  const order = { orderId: "o-1", totalPrice: { minorUnits: "2410", currency: "EUR" } };
  const replies: Readonly<Record<string, unknown>> = {
    GetCart: { cart },
    AddItem: { cart },
    ListTestCards: {
      cards: [
        { cardNumber: "none", behaviour: "card-declined" },
        { cardNumber: "good", behaviour: "approve" },
      ],
    },
    TokenizeCard: { token: "card_1" },
    Checkout: { order },
    PlaceOrder: { order },
  };
  const gateway = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const method = request.url?.split("/").at(-1) ?? "";
      if (method === "SearchProducts") {
        response.setHeader("content-type", "application/connect+json");
        response.end(Buffer.concat([frame(0, { product, score: 3 }), frame(2, {})]));
        return;
      }
      calls.push({ method, message: JSON.parse(Buffer.concat(chunks).toString("utf8")) });
      response.setHeader("traceparent", `00-${traceId}-b7ad6b7169203331-01`);
      const places = method === "Checkout" || method === "PlaceOrder";
      if (places && calls.filter((call) => call.method === method).length === 1) {
        response.statusCode = 503;
        response.end(JSON.stringify({ code: "unavailable", message: "not yet" }));
      } else response.end(JSON.stringify(replies[method]));
    });
  });
  await new Promise<void>((resolve) => gateway.listen(0, "127.0.0.1", resolve));
  const address = gateway.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { origin: `http://127.0.0.1:${port}`, calls, [Symbol.dispose]: () => void gateway.close() };
}

interface Call {
  readonly method: string;
  readonly message: Readonly<Record<string, unknown>>;
}

function frame(flags: number, value: unknown): Buffer {
  const body = Buffer.from(JSON.stringify(value));
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

test("a sample order goes through the cart, pays by a test card with one key over all tries, and tells the trace that the gateway names", async () => {
  using shop = await startShop({});
  const order = await placeSampleOrder({ origin: shop.origin, signal: new AbortController().signal });
  expect(order).toMatchObject({ orderId: "o-1", what: "2 × Sencha", total: "24.10 EUR", traceId });
  const once = ["AddItem", "ListTestCards", "TokenizeCard", "Checkout"];
  expect(shop.calls.map((call) => call.method)).toEqual(["GetCart", ...once, ...once]);
  expect(shop.calls.find((call) => call.method === "TokenizeCard")?.message).toMatchObject({ cardNumber: "good" });
  expect(shop.calls.at(-1)?.message).toMatchObject({ paymentToken: "card_1", currency: "EUR" });
  const keys = shop.calls.flatMap(({ message }) => message["idempotencyKey"] ?? []);
  expect([keys.length, new Set(keys).size]).toEqual([6, 1]);
});

test("a sample order leaves what somebody has put into the cart", async () => {
  using shop = await startShop({ items: [{ productId: "mug", quantity: 1 }], version: "7" });
  await placeSampleOrder({ origin: shop.origin, signal: new AbortController().signal });
  const methods = shop.calls.map((call) => call.method);
  expect(methods).not.toContain("AddItem");
  expect(methods).not.toContain("Checkout");
  expect(shop.calls.at(-1)).toMatchObject({
    method: "PlaceOrder",
    message: { items: [{ productId: "tea", quantity: 2 }] },
  });
});
