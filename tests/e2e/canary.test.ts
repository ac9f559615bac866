import { afterAll, beforeAll, expect, test } from "vitest";
import { applyCanary, canaryInForce, deployCatalogNext, removeCanary, shareOfNext } from "./canary.js";
import { type Laptop, shopClients, startLaptop } from "./laptop.js";
import { steadyCalls } from "./steady.js";

let laptop: Laptop;
let shop: ReturnType<typeof shopClients>;
let productId = "";

beforeAll(async () => {
  laptop = await startLaptop();
  shop = shopClients(laptop.gatewayUrl);
  productId = (await shop.catalog.listProducts({ pageSize: 1 })).products[0]?.productId ?? "";
}, 180_000);

afterAll(async () => {
  await laptop?.[Symbol.asyncDispose]();
}, 60_000);

test("a canary moves a tenth of the calls, its header rule beats the weights, and no call fails while it changes", async () => {
  const call = () => shop.catalog.getProduct({ productId });
  const callWithHeader = () => shop.catalog.getProduct({ productId }, { headers: { "x-canary": "yes" } });
  await deployCatalogNext(laptop.client);

  const steady = steadyCalls(call, 50);
  await applyCanary(laptop.client, { catalog: 90, next: 10 });
  await canaryInForce(laptop.client, callWithHeader);
  const whileApplied = await steady.stop();
  expect(whileApplied.failures).toEqual([]);

  const share = await shareOfNext(laptop.client, 2_000, call);
  expect(share).toBeGreaterThan(0.07);
  expect(share).toBeLessThan(0.13);
  expect(await shareOfNext(laptop.client, 100, callWithHeader)).toBe(1);

  const whileRemoved = steadyCalls(call, 50);
  await removeCanary(laptop.client);
  expect((await whileRemoved.stop()).failures).toEqual([]);
}, 240_000);
