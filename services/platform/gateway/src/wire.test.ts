import { createClient, createRouterTransport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { type ProcessEvent, type ProcessHost, runService } from "@weft/chassis";
import { CatalogService } from "@weft/contracts/shop/catalog/v1";
import { WatchSource } from "@weft/foundation";
import { eventually } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { gatewayConfig, itemsOf } from "./config.js";
import { targetsFrom } from "./upstream/targets.js";
import { wire } from "./wire.js";

/** A process that a test holds in its hand. */
function createHost() {
  const lines: string[] = [];
  const listeners = new Map<ProcessEvent, (cause: unknown) => void>();
  let exited: number | undefined;
  const host: ProcessHost = {
    writeOut: (text) => void lines.push(text),
    writeErr: (text) => void lines.push(text),
    on(event, listener) {
      listeners.set(event, listener);
      return () => listeners.delete(event);
    },
    exit(code) {
      exited = code;
    },
  };
  return { host, lines, listeners, exitCode: () => exited };
}

test("the service starts, answers, and ends with 0 on SIGTERM", async () => {
  const config = gatewayConfig.parse({
    WEFT_BIND: "127.0.0.1",
    WEFT_PORT: "0",
    WEFT_ADMIN_PORT: "0",
    WEFT_DEBUG_PORT: "0",
    WEFT_DRAIN_DELAY: "0s",
    OTEL_TRACES_EXPORTER: "none",
  });
  if (!config.ok) throw new Error(config.error.text);
  const transport = createRouterTransport((router) => {
    router.service(CatalogService, { getProduct: ({ productId }) => ({ product: { productId } }) });
  });
  const { host, lines, listeners, exitCode } = createHost();
  const running = runService(config.value, wire, {
    host,
    createMesh: async () => ({
      to: () => transport,
      state: new WatchSource({ t: "ready" as const }),
      describe: () => ({
        connected: true,
        identifier: "c",
        version: "1",
        resources: [],
        targets: [],
        mtls: "DISABLED",
      }),
      serve: () => Promise.reject(new Error("the gateway serves by itself")),
      async [Symbol.asyncDispose]() {},
    }),
  });
  const port = await eventually(
    () =>
      lines
        .map((line) => /"port":(\d+).*"serving the public API"/.exec(line)?.[1])
        .find((found) => found !== undefined),
    { ceilingMs: 10_000, what: "the port" },
  );
  const catalog = createClient(
    CatalogService,
    createConnectTransport({ baseUrl: `http://127.0.0.1:${port}`, httpVersion: "1.1" }),
  );
  expect((await catalog.getProduct({ productId: "p" })).product?.productId).toBe("p");
  listeners.get("SIGTERM")?.("SIGTERM");
  await running;
  expect(exitCode()).toBe(0);
});

test("every wrong variable is named at once", () => {
  const config = gatewayConfig.parse({
    WEFT_GATEWAY_MAX_BODY: "big",
    WEFT_GATEWAY_TIMEOUT: "15",
    WEFT_GATEWAY_ORIGIN: "x",
    WEFT_GATEWAY_ORIGINS: "https://a.example, shop",
    WEFT_GATEWAY_TARGETS: "orders",
  });
  if (config.ok) throw new Error("it parses");
  expect(config.error.problems.map(({ name }) => name).sort()).toEqual([
    "WEFT_GATEWAY_MAX_BODY",
    "WEFT_GATEWAY_ORIGIN",
    "WEFT_GATEWAY_ORIGINS",
    "WEFT_GATEWAY_TARGETS",
    "WEFT_GATEWAY_TIMEOUT",
  ]);
});

test("lists of origins and targets are read", () => {
  const config = gatewayConfig.parse({
    WEFT_GATEWAY_ORIGINS: "https://a.example,http://b.example:8080",
    WEFT_GATEWAY_TARGETS: "shop.orders.v1.OrderService=orders-next.shop:8080",
  });
  if (!config.ok) throw new Error(config.error.text);
  expect(itemsOf(config.value.WEFT_GATEWAY_ORIGINS)).toEqual(["https://a.example", "http://b.example:8080"]);
  expect([...targetsFrom(itemsOf(config.value.WEFT_GATEWAY_TARGETS))]).toEqual([
    ["shop.orders.v1.OrderService", "orders-next.shop:8080"],
  ]);
  const none = gatewayConfig.parse({});
  expect(none.ok && itemsOf(none.value.WEFT_GATEWAY_ORIGINS)).toEqual([]);
});
