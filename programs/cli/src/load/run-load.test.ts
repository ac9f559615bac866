import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { CartService } from "@weft/contracts/shop/cart/v1";
import { CatalogService } from "@weft/contracts/shop/catalog/v1";
import { InventoryService } from "@weft/contracts/shop/inventory/v1";
import { OrderService, OrderState } from "@weft/contracts/shop/orders/v1";
import { PaymentService } from "@weft/contracts/shop/payments/v1";
import { ShippingService } from "@weft/contracts/shop/shipping/v1";
import { systemClock } from "@weft/foundation";
import { expect, test } from "vitest";
import { createLedger, type Ledger } from "./ledger.js";
import { seededRandom } from "./random.js";
import { runLoad } from "./run-load.js";
import { createShopClient } from "./shop-client.js";
import type { Deed } from "./visit-plan.js";
import { visit } from "./visitor.js";

const products = Array.from({ length: 12 }, (_, n) => ({ productId: `tea-${n}`, name: `Tea ${n}`, category: "tea" }));
const cards = [
  { number: "good", behaviour: "approve" },
  { number: "bad", behaviour: "card-declined" },
  { number: "asked", behaviour: "challenge" },
];

/** A shop in one process that remembers what came in. */
async function startShop(overrides: (router: ConnectRouter) => void = () => {}) {
  const keys = new Set<string>();
  const placed: object[] = [];
  const counts = { keys: 0 };
  const changing = ({ idempotencyKey }: { readonly idempotencyKey: string }) => {
    counts.keys += 1;
    keys.add(idempotencyKey);
  };
  const change = (request: { readonly idempotencyKey: string }) => {
    changing(request);
    return {};
  };
  const place = (request: { readonly idempotencyKey: string; readonly paymentToken: string }) => {
    changing(request);
    placed.push(request);
    if (request.paymentToken === "bad") {
      throw new ConnectError("declined", Code.FailedPrecondition);
    }
    if (request.paymentToken === "asked")
      return { order: { orderId: "o", state: OrderState.AWAITING_CHALLENGE, challenge: { prompt: 'Say "yes".' } } };
    return { order: { orderId: "o", state: OrderState.PLACED } };
  };
  const routes = (router: ConnectRouter): void => {
    router.service(CatalogService, {
      listProducts: () => ({ products, nextPageToken: "" }),
      getProduct: ({ productId }) => ({ product: { productId, name: "Tea", category: "tea" } }),
      async *searchProducts() {
        for (const product of products) yield { product, score: 1 };
      },
    });
    router.service(InventoryService, { getStock: () => ({}) });
    router.service(ShippingService, { getQuote: () => ({}) });
    router.service(PaymentService, {
      tokenizeCard(request) {
        changing(request);
        return { token: request.cardNumber };
      },
    });
    router.service(CartService, {
      addItem: change,
      setQuantity: change,
      removeItem: change,
      getCart: () => ({ cart: { cartId: "c" } }),
      clearCart: change,
      mergeCart(request) {
        changing(request);
        throw new ConnectError("is the caller's own cart", Code.InvalidArgument);
      },
      prepareCheckout: () => ({ weightGrams: 100n }),
    });
    router.service(OrderService, {
      placeOrder: place,
      checkout: place,
      async *watchOrder({ orderId }) {
        yield { order: { orderId, state: OrderState.PLACED } };
        yield { order: { orderId, state: OrderState.CONFIRMED } };
      },
      cancelOrder(request) {
        changing(request);
        return { order: { orderId: request.orderId, state: OrderState.CANCELLED } };
      },
      answerChallenge(request) {
        changing(request);
        if (request.answer !== "yes") throw new ConnectError("wrong", Code.FailedPrecondition);
        return { order: { orderId: request.orderId, state: OrderState.CONFIRMED } };
      },
      refundOrder(request) {
        changing(request);
        return { order: { orderId: request.orderId, state: OrderState.PARTIALLY_REFUNDED } };
      },
      listOrders: () => ({}),
      getOrder: () => ({}),
    });
    overrides(router);
  };
  const server = createServer(connectNodeAdapter({ routes }));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${fromAddress(server.address()).port}`,
    counts,
    keys,
    placed,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function fromAddress(address: unknown): AddressInfo {
  return address as AddressInfo;
}

function run(
  gatewayUrl: string,
  rest: { readonly users?: number; readonly durationMs?: number; readonly signal?: AbortSignal } = {},
) {
  const ledger = createLedger();
  const { users = 60, durationMs = 2_500, signal = new AbortController().signal } = rest;
  const done = runLoad({ gatewayUrl, perSecond: 300, users, durationMs, seed: 3, cards, ledger, signal });
  return { ledger, done };
}

/** Runs until there is enough to judge: a busy machine gets through less in the same time, so each try is longer. */
async function runUntil(gatewayUrl: string, enough: (tally: ReturnType<Ledger["tally"]>) => boolean) {
  for (const durationMs of [2_500, 5_000, 10_000]) {
    const { ledger, done } = run(gatewayUrl, { durationMs });
    await done;
    const tally = ledger.tally();
    if (enough(tally)) return { tally, durationMs };
  }
  throw new Error("too little was seen to judge");
}

test("a plan is carried out deed by deed, each changing call with a key of its own", async () => {
  await using shop = await startShop();
  const made: string[] = [];
  const book = createLedger();
  const ledger: Ledger = {
    ...book,
    call(method, latencyMs, ending) {
      made.push(method);
      book.call(method, latencyMs, ending);
    },
  };
  using client = createShopClient({ gatewayUrl: shop.url, ledger });
  const deeds: Deed[] = [
    { t: "look", which: 0, stock: true }, // nothing was seen yet: nothing happens
    { t: "browse", pageSize: 12 },
    { t: "search", which: 0.5, enough: 3 },
    { t: "look", which: 0.2, stock: true },
    { t: "take", which: 0.2, quantity: 2 },
    { t: "take", which: 0.9, quantity: 1 },
    { t: "change", which: 0, quantity: 4 },
    { t: "drop", which: 0.9 },
    { t: "cart" },
    { t: "checkout", country: "DE" },
    { t: "card", kind: "good", which: 0 },
    { t: "order", country: "DE", from: "picked" },
    { t: "watch", patienceMs: 5_000 },
    { t: "cancel" },
    { t: "orders", which: 0 },
    { t: "card", kind: "declined", which: 0 },
    { t: "order", country: "DE", from: "cart" },
    { t: "cart" }, // whose order is refused has left
  ];
  const { signal } = new AbortController();
  const support = { shop: client, ledger, clock: systemClock, cards, meanPauseMs: 1, stop: signal, abort: signal };
  const memory = { orderIds: [] };
  const plan = deeds.map((deed) => ({ deed, pause: 1 }));
  await visit(support, plan, { memory, random: seededRandom(1) });
  expect(made).toEqual([
    "CatalogService/ListProducts",
    "CatalogService/SearchProducts",
    "CatalogService/GetProduct",
    "InventoryService/GetStock",
    "CartService/AddItem",
    "CartService/AddItem",
    "CartService/SetQuantity",
    "CartService/RemoveItem",
    "CartService/GetCart",
    "CartService/PrepareCheckout",
    "ShippingService/GetQuote",
    "PaymentService/TokenizeCard",
    "OrderService/PlaceOrder",
    "OrderService/WatchOrder",
    "OrderService/CancelOrder",
    "OrderService/ListOrders",
    "OrderService/GetOrder",
    "PaymentService/TokenizeCard",
    "OrderService/Checkout",
  ]);
  expect(shop.keys.size).toBe(9);
  expect(memory.orderIds).toEqual(["o"]);
  expect(shop.placed).toMatchObject([{ items: [{ productId: "tea-2", quantity: 4 }], paymentToken: "good" }, {}]);
  const { all, orders, endings } = ledger.tally();
  expect(all.failed).toBe(0);
  expect([...orders]).toEqual([
    ["cancelled", 1],
    ["placed", 1],
    ["refused", 1],
  ]);
  expect(endings).toMatchObject([{ method: "OrderService/Checkout", code: "FAILED_PRECONDITION", t: "refused" }]);
});

test("a challenged order is answered as its bank wants, a cart is emptied, and one's own cart is refused", async () => {
  await using shop = await startShop();
  const ledger = createLedger();
  using client = createShopClient({ gatewayUrl: shop.url, ledger });
  const deeds: Deed[] = [
    { t: "browse", pageSize: 12 },
    { t: "take", which: 0.2, quantity: 2 },
    { t: "card", kind: "challenged", which: 0 },
    { t: "order", country: "DE", from: "cart" },
    { t: "refund", minorUnits: 100 },
    { t: "clear" },
    { t: "merge" },
    { t: "browse", pageSize: 12 }, // who was refused has left
  ];
  const { signal } = new AbortController();
  const support = { shop: client, ledger, clock: systemClock, cards, meanPauseMs: 1, stop: signal, abort: signal };
  const plan = deeds.map((deed) => ({ deed, pause: 1 }));
  await visit(support, plan, { memory: { orderIds: [] }, random: seededRandom(1) });
  const { all, orders, endings } = ledger.tally();
  expect(all.failed).toBe(0);
  expect(Object.fromEntries(orders)).toEqual({ awaiting_challenge: 1, confirmed: 1, partially_refunded: 1 });
  expect(endings).toMatchObject([{ method: "CartService/MergeCart", code: "INVALID_ARGUMENT", t: "refused" }]);
  expect(shop.keys.size).toBe(7);
});

test("many shop at once by the rate asked for, and nothing unexpected is seen", async () => {
  await using shop = await startShop();
  const { tally, durationMs } = await runUntil(shop.url, ({ all }) => all.calls > 200);
  expect(tally.endings.filter(({ t }) => t === "failed")).toEqual([]);
  expect(tally.all.calls).toBeLessThan(0.6 * durationMs);
  expect(shop.counts.keys).toBe(shop.keys.size);
});

test("an error of the shop is counted by method and code, and tried again with the same key", async () => {
  const seen = new Map<string, number>();
  await using shop = await startShop((router) =>
    router.rpc(CartService.method.addItem, ({ idempotencyKey }) => {
      seen.set(idempotencyKey, (seen.get(idempotencyKey) ?? 0) + 1);
      throw new ConnectError("the service is not available at the moment", Code.Unavailable);
    }),
  );
  const failuresOf = ({ endings }: ReturnType<Ledger["tally"]>) => endings.filter(({ t }) => t === "failed");
  const { tally } = await runUntil(shop.url, (seenSoFar) => {
    if (failuresOf(seenSoFar).length > 0) return true;
    seen.clear();
    return false;
  });
  expect(failuresOf(tally)).toMatchObject([{ method: "CartService/AddItem", code: "UNAVAILABLE" }]);
  expect(tally.all.failed).toBe([...seen.values()].reduce((sum, count) => sum + count, 0));
  expect(Math.max(...seen.values())).toBe(3);
  expect([...tally.methods.keys()]).not.toContain("OrderService/PlaceOrder");
});

test("a shop that hardly answers does not slow the stream of visitors: those who find everybody inside are counted", async () => {
  await using shop = await startShop((router) =>
    router.rpc(CatalogService.method.listProducts, async () => {
      await new Promise((resolve) => setTimeout(resolve, 1_000)); // what is tested is a slow answer
      return {};
    }),
  );
  const { ledger, done } = run(shop.url, { users: 5 });
  await done;
  const tally = ledger.tally();
  expect(tally.turnedAway).toBeGreaterThan(5);
  expect(tally.methods.get("CatalogService/ListProducts")?.p50Ms).toBeGreaterThan(900);
});

test("an end that is asked for comes soon, and what it cuts off is no error", async () => {
  const ending = new AbortController();
  await using shop = await startShop((router) =>
    // What the watch of an order that nothing happens to looks like.
    router.rpc(OrderService.method.watchOrder, async function* ({ orderId }) {
      yield { order: { orderId, state: OrderState.PLACED } };
      await new Promise(() => {});
    }),
  );
  const { ledger, done } = run(shop.url, { signal: ending.signal });
  setTimeout(() => ending.abort(), 1_000); // visits are under way
  const startMs = performance.now();
  await done;
  expect(performance.now() - startMs).toBeLessThan(10_000);
  expect(ledger.tally().all.failed).toBe(0);
});
