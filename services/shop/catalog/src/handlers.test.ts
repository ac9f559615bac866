import { type Client, Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { CatalogService, type SearchProductsResponse } from "@weft/contracts/shop/catalog/v1";
import { createDatabase, migrate } from "@weft/store";
import { startTestDatabase } from "@weft/store/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createHandlers } from "./handlers.js";
import { migrations } from "./migrations.js";
import { seedProducts } from "./seed-products.js";
import { createProductStore } from "./store.js";

let catalog: Client<typeof CatalogService>;
const cleanups: AsyncDisposable[] = [];

beforeAll(async () => {
  const home = await startTestDatabase();
  const database = createDatabase({ url: home.url });
  cleanups.push(database, home);
  await migrate(database, migrations);
  const handlers = createHandlers({ store: createProductStore(database) });
  catalog = createClient(
    CatalogService,
    createRouterTransport(({ service }) => {
      service(CatalogService, handlers);
    }),
  );
});

afterAll(async () => {
  for (const resource of cleanups) await resource[Symbol.asyncDispose]();
});

async function refusal(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "none",
    (error: unknown) => `${Code[ConnectError.from(error).code]}: ${ConnectError.from(error).rawMessage}`,
  );
}

async function search(query: string, limit = 0): Promise<SearchProductsResponse[]> {
  const hits: SearchProductsResponse[] = [];
  for await (const hit of catalog.searchProducts({ query, limit })) hits.push(hit);
  return hits;
}

test("the catalog begins with at least 60 products, each with a price in two currencies", async () => {
  expect(seedProducts.length).toBeGreaterThanOrEqual(60);
  expect(new Set(seedProducts.map((product) => product.id)).size).toBe(seedProducts.length);
  const { product } = await catalog.getProduct({ productId: "tea-sencha" });
  expect(product).toMatchObject({
    name: "Morning Sencha",
    weightGrams: 100,
    prices: [
      { minorUnits: 1290n, currency: "EUR" },
      { minorUnits: 1390n, currency: "USD" },
    ],
  });
});

test("pages follow one another without a gap or a repeat, in a category too", async () => {
  const ids: string[] = [];
  let pageToken = "";
  do {
    const page = await catalog.listProducts({ pageSize: 7, pageToken });
    ids.push(...page.products.map((product) => product.productId));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  expect(ids).toEqual(seedProducts.map((product) => product.id).sort());
  const tea = await catalog.listProducts({ category: "tea", pageSize: 100 });
  expect(tea.products).toHaveLength(seedProducts.filter((product) => product.category === "tea").length);
  expect(tea.nextPageToken).toBe("");
});

test("several products come in the order asked for, with what does not exist named beside", async () => {
  const reply = await catalog.batchGetProducts({ productIds: ["tea-white", "no-such", "coffee-cold"] });
  expect(reply.products.map((product) => product.productId)).toEqual(["tea-white", "coffee-cold"]);
  expect(reply.missingProductIds).toEqual(["no-such"]);
});

test("a search takes words in any case and order, ranks the name above the rest, and holds to its limit", async () => {
  const hits = await search("TEA green");
  expect(hits.map((hit) => hit.product?.productId)).toEqual(["tea-gyokuro", "tea-hojicha", "tea-sencha"]);
  const ranked = await search("cardamom");
  expect(ranked[0]?.product?.productId).toBe("spice-cardamom");
  const scores = (await search("chocolate")).map((hit) => hit.score);
  expect(scores).toEqual([...scores].sort((a, b) => b - a));
  expect(await search("chocolate", 2)).toHaveLength(2);
  expect(await search("100%_'; DROP")).toEqual([]);
});

test("a caller that has seen enough ends the stream", async () => {
  for await (const hit of catalog.searchProducts({ query: "tea" })) {
    expect(hit.product).toBeDefined();
    break;
  }
});

test("what is wrong is named with field and value", async () => {
  expect(await refusal(catalog.getProduct({ productId: "Tea!" }))).toMatch(/^InvalidArgument: product_id "Tea!"/);
  expect(await refusal(catalog.getProduct({ productId: "tea-none" }))).toBe(
    'NotFound: product "tea-none" does not exist',
  );
  expect(await refusal(catalog.batchGetProducts({}))).toMatch(/^InvalidArgument: product_ids: 0 of them/);
  expect(await refusal(catalog.batchGetProducts({ productIds: ["a", "a"] }))).toMatch(
    /product_ids\[1\] "a": stands twice/,
  );
  expect(await refusal(catalog.listProducts({ pageSize: 101 }))).toMatch(/^InvalidArgument: page_size 101/);
  expect(await refusal(catalog.listProducts({ pageToken: "zzz" }))).toMatch(/^InvalidArgument: page_token "zzz"/);
  expect(await refusal(search("  "))).toMatch(/^InvalidArgument: query " {2}": holds no word/);
  expect(await refusal(search("x".repeat(201)))).toMatch(/^InvalidArgument: query: 201 characters/);
});
