import { afterAll, beforeAll, test } from "vitest";
import { type Laptop, shopClients, startLaptop } from "./laptop.js";
import { servedCalls } from "./pods.js";
import { canaryTakesItsShare } from "./scenarios/canary.js";

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
  await canaryTakesItsShare(
    { client: laptop.client, servedCalls },
    {
      plain: () => shop.catalog.getProduct({ productId }),
      withHeader: () => shop.catalog.getProduct({ productId }, { headers: { "x-canary": "yes" } }),
    },
  );
}, 240_000);
