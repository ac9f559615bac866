import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { shopClients, startLaptop } from "../e2e/laptop.js";
import { orderEdges, orderOf } from "../e2e/shopping.js";
import { edgesOf, rootsAndOrphans, wholeTrace } from "../e2e/traces.js";
import { startJaeger } from "./jaeger.js";

const jaegerPath = join(process.env["WEFT_TOOLS"] ?? "/nonexistent", "jaeger");

test.skipIf(!existsSync(jaegerPath))(
  "an order is one trace in a Jaeger of your own (skipped without WEFT_TOOLS)",
  async () => {
    await using jaeger = await startJaeger(jaegerPath);
    await using laptop = await startLaptop({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.otlpUrl } });
    expect(laptop.output()).toContain(
      `OTEL_EXPORTER_OTLP_ENDPOINT=${jaeger.otlpUrl} of this shell wins over the manifests`,
    );
    expect(laptop.output()).toMatch(new RegExp(`^traces go to ${jaeger.otlpUrl}$`, "m"));

    const shop = shopClients(laptop.gatewayUrl);
    const productId = (await shop.catalog.listProducts({ pageSize: 1 })).products[0]?.productId ?? "";
    let traceId = "";
    await shop.orders.placeOrder(await orderOf(shop, { productId }), {
      onHeader: (headers) => {
        traceId = headers.get("weft-trace-id") ?? "";
      },
    });
    const trace = await wholeTrace(jaeger.queryUrl, traceId, orderEdges);
    expect(edgesOf(trace)).toEqual(orderEdges);
    expect(rootsAndOrphans(trace)).toEqual({ roots: 1, orphans: 0 });
  },
  240_000,
);
