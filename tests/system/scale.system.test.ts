import { afterAll, beforeAll, expect, test } from "vitest";
import { type Laptop, shopClients, startLaptop } from "../e2e/laptop.js";
import { servedCalls } from "../e2e/pods.js";
import { catalogScalesAlone } from "../e2e/scenarios/scale.js";
import { steadyCalls } from "../e2e/steady.js";

let laptop: Laptop;

beforeAll(async () => {
  laptop = await startLaptop();
}, 180_000);

afterAll(async () => {
  await laptop?.[Symbol.asyncDispose]();
}, 60_000);

test("load on catalog scales catalog alone, from one Pod to three and back, and kubectl shows it", async () => {
  const shop = shopClients(laptop.gatewayUrl);
  const productId = (await shop.catalog.listProducts({ pageSize: 1 })).products[0]?.productId ?? "";
  await catalogScalesAlone({ client: laptop.client, servedCalls }, async (perSecond) =>
    steadyCalls(() => shop.catalog.getProduct({ productId }), perSecond),
  );
  const shown = await laptop.kubectl(["get", "hpa", "catalog", "-n", "shop"]);
  expect(shown.stdout).toMatch(
    /^NAME +REFERENCE +TARGETS +MINPODS +MAXPODS +REPLICAS +AGE\ncatalog +Deployment\/catalog /,
  );
}, 900_000);
