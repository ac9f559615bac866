import { createServer } from "node:http";
import { expect, test } from "vitest";
import { formatMoney, placeSampleOrder } from "./sample-order.js";

test("money is shown by the digits of its currency", () => {
  expect(formatMoney({ minorUnits: "3980", currency: "EUR" })).toBe("39.80 EUR");
  expect(formatMoney({ minorUnits: "5", currency: "EUR" })).toBe("0.05 EUR");
  expect(formatMoney({ minorUnits: "5", currency: "JPY" })).toBe("5 JPY");
  expect(formatMoney({ minorUnits: "-1999", currency: "USD" })).toBe("-19.99 USD");
});

test("a sample order searches, orders with one key over all tries, and tells the trace that the gateway names", async () => {
  const keys: string[] = [];
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  const frame = (flags: number, value: unknown): Buffer => {
    const body = Buffer.from(JSON.stringify(value));
    const head = Buffer.alloc(5);
    head.writeUInt8(flags, 0);
    head.writeUInt32BE(body.length, 1);
    return Buffer.concat([head, body]);
  };
  const gateway = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (request.url?.endsWith("/SearchProducts")) {
        response.setHeader("content-type", "application/connect+json");
        const product = { productId: "tea", name: "Sencha", prices: [{ minorUnits: "990", currency: "EUR" }] };
        response.end(Buffer.concat([frame(0, { product, score: 3 }), frame(2, {})]));
        return;
      }
      keys.push(JSON.parse(Buffer.concat(chunks).toString("utf8")).idempotencyKey);
      response.setHeader("traceparent", `00-${traceId}-b7ad6b7169203331-01`);
      if (keys.length === 1) {
        response.statusCode = 503;
        response.end(JSON.stringify({ code: "unavailable", message: "not yet" }));
      } else {
        response.end(
          JSON.stringify({ order: { orderId: "o-1", totalPrice: { minorUnits: "1980", currency: "EUR" } } }),
        );
      }
    });
  });
  await new Promise<void>((resolve) => gateway.listen(0, "127.0.0.1", resolve));
  const address = gateway.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  try {
    const order = await placeSampleOrder({ origin: `http://127.0.0.1:${port}`, signal: new AbortController().signal });
    expect(order).toMatchObject({ orderId: "o-1", what: "2 × Sencha", total: "19.80 EUR", traceId });
    expect(keys).toHaveLength(2);
    expect(new Set(keys).size).toBe(1);
  } finally {
    gateway.close();
  }
});
