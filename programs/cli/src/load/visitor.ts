import { randomUUID } from "node:crypto";
import { type CallOptions, Code, ConnectError, createContextValues } from "@connectrpc/connect";
import type { Product } from "@weft/contracts/shop/catalog/v1";
import { type Order, OrderState } from "@weft/contracts/shop/orders/v1";
import { type Clock, joinSignals, sleep } from "@weft/foundation";
import type { Ledger } from "./ledger.js";
import { at, type Random } from "./random.js";
import { dueKey, type ShopClient } from "./shop-client.js";
import { cardFor, type TestCard } from "./test-cards.js";
import type { Deed, VisitPlan } from "./visit-plan.js";

/** What all visitors of a run share. */
export interface VisitSupport {
  readonly shop: ShopClient;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly cards: readonly TestCard[];
  readonly meanPauseMs: number;
  /** Makes idempotency keys. */
  readonly newKey?: () => string;
  /** Aborts when nothing new shall be begun. */
  readonly stop: AbortSignal;
  /** Aborts when what is under way shall end too. */
  readonly abort: AbortSignal;
}

/** What a user remembers from one visit to the next. */
export interface Memory {
  readonly orderIds: string[];
}

const callTimeoutMs = 10_000;
const currency = "EUR";
const rememberedOrders = 3;
const seenProducts = 100;
const heaviestGrams = 2_000_000;
/** What an app tries again, with the same key: whether it happened is not known, or it did not for now. */
const worthAnotherTry: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Aborted,
  Code.ResourceExhausted,
]);
const tries = 3;

/** Goes through a plan, deed by deed, until it is done, the shop gives an error, or the run ends. Never rejects for an answer of the shop. */
export async function visit(
  support: VisitSupport,
  plan: VisitPlan,
  options: { readonly memory: Memory; readonly random: Random },
): Promise<void> {
  const { clock, stop } = support;
  const visitor = new Visitor(support, options.memory, options.random);
  support.ledger.visit();
  try {
    for (const { deed, pause } of plan) {
      const pauseMs = pause * support.meanPauseMs;
      const dueMs = clock.nowMs() + pauseMs;
      await sleep(pauseMs, { clock, signal: stop });
      await visitor.act(deed, dueMs);
    }
  } catch (error) {
    // The shop's answers are in the ledger already; who met an error leaves. The end of the run ends visits anywhere.
    if (!(error instanceof ConnectError) && !stop.aborted) throw error;
  }
}

class Visitor {
  readonly #support: VisitSupport;
  readonly #memory: Memory;
  readonly #random: Random;
  readonly #seen = new Map<string, Product>();
  readonly #picked = new Map<string, number>();
  #nextPage = "";
  #token = "";
  #order: Order | undefined;

  constructor(support: VisitSupport, memory: Memory, random: Random) {
    this.#support = support;
    this.#memory = memory;
    this.#random = random;
  }

  async act(deed: Deed, dueMs: number): Promise<void> {
    const { catalog, inventory, cart, orders } = this.#support.shop;
    const first = this.#options(dueMs);
    switch (deed.t) {
      case "browse": {
        const page = await catalog.listProducts({ pageSize: deed.pageSize, pageToken: this.#nextPage }, first);
        this.#nextPage = page.nextPageToken;
        for (const product of page.products) this.#see(product);
        return;
      }
      case "search":
        return await this.#search(deed, dueMs);
      case "look": {
        const productId = this.#some(deed.which)?.productId;
        if (productId === undefined) return;
        const { product } = await catalog.getProduct({ productId }, first);
        if (product !== undefined) this.#see(product);
        if (deed.stock) await inventory.getStock({ productIds: [productId] }, this.#options());
        return;
      }
      case "take": {
        const productId = this.#some(deed.which)?.productId;
        if (productId === undefined) return;
        const { quantity } = deed;
        const request = { idempotencyKey: this.#key(), productId, quantity };
        await this.#persist(dueMs, (options) => cart.addItem(request, options));
        this.#picked.set(productId, (this.#picked.get(productId) ?? 0) + quantity);
        return;
      }
      case "change": {
        const productId = at([...this.#picked.keys()], deed.which);
        if (productId === undefined) return;
        const request = { idempotencyKey: this.#key(), productId, quantity: deed.quantity };
        await this.#persist(dueMs, (options) => cart.setQuantity(request, options));
        this.#picked.set(productId, deed.quantity);
        return;
      }
      case "drop": {
        const productId = at([...this.#picked.keys()], deed.which);
        if (productId === undefined) return;
        const request = { idempotencyKey: this.#key(), productId };
        await this.#persist(dueMs, (options) => cart.removeItem(request, options));
        this.#picked.delete(productId);
        return;
      }
      case "clear": {
        const request = { idempotencyKey: this.#key() };
        await this.#persist(dueMs, (options) => cart.clearCart(request, options));
        this.#picked.clear();
        return;
      }
      case "merge": {
        const { cart: found } = await cart.getCart({}, first);
        if (found === undefined || found.cartId === "") return;
        const request = { idempotencyKey: this.#key(), cartId: found.cartId };
        await this.#persist(undefined, (options) => cart.mergeCart(request, options));
        return;
      }
      case "cart":
        await cart.getCart({}, first);
        return;
      case "checkout":
        return await this.#checkout(deed.country, first);
      case "card":
        return await this.#giveCard(deed, dueMs);
      case "order":
        return await this.#placeOrder(deed, dueMs);
      case "watch":
        return await this.#watch(deed.patienceMs, dueMs);
      case "cancel":
        return await this.#cancel(dueMs);
      case "refund":
        return await this.#refund(deed.minorUnits, dueMs);
      case "orders": {
        await orders.listOrders({ pageSize: 10 }, first);
        const orderId = at(this.#memory.orderIds, deed.which);
        if (orderId !== undefined) await orders.getOrder({ orderId }, this.#options());
        return;
      }
    }
  }

  async #search({ which, enough }: Extract<Deed, { t: "search" }>, dueMs: number): Promise<void> {
    const product = this.#some(which);
    if (product === undefined) return;
    const words = `${product.name} ${product.category}`.split(/\s+/);
    const query = at(words, this.#random()) ?? product.category;
    const read = async (options: CallOptions): Promise<void> => {
      let found = 0;
      for await (const { product } of this.#support.shop.catalog.searchProducts({ query, limit: 50 }, options)) {
        if (product !== undefined) this.#see(product);
        found += 1;
        if (found >= enough) return;
      }
    };
    await this.#read({ method: "CatalogService/SearchProducts", dueMs, read });
  }

  async #checkout(country: string, first: CallOptions): Promise<void> {
    const { cart, shipping } = this.#support.shop;
    const { weightGrams } = await cart.prepareCheckout({ currency }, first);
    if (weightGrams > 0n && weightGrams <= BigInt(heaviestGrams))
      await shipping.getQuote({ country, weightGrams, currency }, this.#options());
  }

  async #giveCard({ kind, which }: Extract<Deed, { t: "card" }>, dueMs: number): Promise<void> {
    const card = cardFor(this.#support.cards, kind, which);
    if (card === undefined) return;
    const request = { idempotencyKey: this.#key(), cardNumber: card.number };
    const { payments } = this.#support.shop;
    this.#token = (await this.#persist(dueMs, (options) => payments.tokenizeCard(request, options))).token;
  }

  async #placeOrder({ country, from }: Extract<Deed, { t: "order" }>, dueMs: number): Promise<void> {
    if (this.#token === "") return;
    const { orders } = this.#support.shop;
    const common = { idempotencyKey: this.#key(), currency, paymentToken: this.#token, delivery: deliveryTo(country) };
    const items = [...this.#picked].map(([productId, quantity]) => ({ productId, quantity }));
    if (from === "picked" && items.length === 0) return;
    const { order } = await this.#persist<{ readonly order?: Order | undefined }>(dueMs, (options) =>
      from === "cart" ? orders.checkout(common, options) : orders.placeOrder({ ...common, items }, options),
    ).catch((error: unknown) => {
      if (error instanceof ConnectError && error.code === Code.FailedPrecondition)
        this.#support.ledger.order("refused");
      throw error;
    });
    if (order === undefined) return;
    this.#order = order;
    this.#memory.orderIds.push(order.orderId);
    if (this.#memory.orderIds.length > rememberedOrders) this.#memory.orderIds.shift();
    this.#support.ledger.order(nameOf(order.state));
    if (order.state === OrderState.AWAITING_CHALLENGE) await this.#answer(order);
  }

  /** Tells the card's bank what it wants to hear: a simulated bank's question says it, in quotes. */
  async #answer({ orderId, challenge }: Order): Promise<void> {
    const answer = /"([^"]+)"/.exec(challenge?.prompt ?? "")?.[1] ?? "?";
    const request = { idempotencyKey: this.#key(), orderId, answer };
    const { orders } = this.#support.shop;
    const { order } = await this.#persist(undefined, (options) => orders.answerChallenge(request, options));
    if (order !== undefined) this.#support.ledger.order(nameOf(order.state));
  }

  async #refund(minorUnits: number, dueMs: number): Promise<void> {
    const orderId = this.#order?.orderId ?? this.#memory.orderIds.at(-1);
    if (orderId === undefined) return;
    const amount = { minorUnits: BigInt(minorUnits), currency };
    const request = { idempotencyKey: this.#key(), orderId, amount };
    const { orders } = this.#support.shop;
    const { order } = await this.#persist(dueMs, (options) => orders.refundOrder(request, options));
    if (order !== undefined) this.#support.ledger.order(nameOf(order.state));
  }

  async #watch(patienceMs: number, dueMs: number): Promise<void> {
    const orderId = this.#order?.orderId;
    if (orderId === undefined) return;
    const read = async (options: CallOptions, onMessage: () => void): Promise<void> => {
      for await (const { order } of this.#support.shop.orders.watchOrder({ orderId }, options)) {
        onMessage();
        // Settled is enough; it could still be refunded or called off.
        if (order !== undefined && order.state !== OrderState.PLACED && order.state !== OrderState.CANCELLING) return;
      }
    };
    await this.#read({ method: "OrderService/WatchOrder", dueMs, patienceMs, read });
  }

  async #cancel(dueMs: number): Promise<void> {
    const orderId = this.#order?.orderId ?? this.#memory.orderIds.at(-1);
    if (orderId === undefined) return;
    const request = { idempotencyKey: this.#key(), orderId };
    const { orders } = this.#support.shop;
    const { order } = await this.#persist(dueMs, (options) => orders.cancelOrder(request, options));
    if (order !== undefined) this.#support.ledger.order(nameOf(order.state));
  }

  /** Makes a changing call, and again with the same key as long as its outcome is not known. */
  async #persist<T>(dueMs: number | undefined, call: (options: CallOptions) => Promise<T>): Promise<T> {
    const { clock, stop } = this.#support;
    for (let attempt = 1; ; attempt++) {
      try {
        return await call(this.#options(attempt === 1 ? dueMs : undefined));
      } catch (error) {
        const again = error instanceof ConnectError && worthAnotherTry.has(error.code);
        if (!again || attempt === tries) throw error;
        await sleep(200 * 2 ** attempt * (0.5 + this.#random()), { clock, signal: stop });
      }
    }
  }

  /**
   * Reads a stream until `read` has seen enough, or for `patienceMs` at most; leaving it is no error, but a stream that has shown nothing by then
   * is one. Without a patience it is a call like any other, with a deadline.
   */
  async #read(options: {
    readonly method: string;
    readonly dueMs: number;
    readonly patienceMs?: number;
    readonly read: (options: CallOptions, onMessage: () => void) => Promise<void>;
  }): Promise<void> {
    const { clock, stop, ledger } = this.#support;
    const { method, dueMs, patienceMs, read } = options;
    const left = new AbortController();
    let begun = false;
    using joined = joinSignals({ clock, signals: [stop, left.signal] });
    using _patience = patienceMs === undefined ? undefined : clock.after(patienceMs, () => left.abort());
    const contextValues = createContextValues().set(dueKey, dueMs);
    const limit = patienceMs === undefined ? { timeoutMs: callTimeoutMs } : {};
    try {
      await read({ signal: joined.signal, contextValues, ...limit }, () => {
        begun = true;
      });
    } catch (error) {
      if (!left.signal.aborted || stop.aborted) throw error;
      if (!begun) {
        const said = `nothing within ${patienceMs} ms`;
        ledger.call(method, clock.nowMs() - dueMs, { t: "failed", code: Code.DeadlineExceeded, said, traceId: "" });
      }
    } finally {
      left.abort();
    }
  }

  #options(dueMs?: number): CallOptions {
    const { abort, clock } = this.#support;
    const contextValues = createContextValues().set(dueKey, dueMs ?? clock.nowMs());
    return { signal: abort, timeoutMs: callTimeoutMs, contextValues };
  }

  #see(product: Product): void {
    if (this.#seen.size < seenProducts || this.#seen.has(product.productId)) this.#seen.set(product.productId, product);
  }

  #some(which: number): Product | undefined {
    return at([...this.#seen.values()], which);
  }

  #key(): string {
    return (this.#support.newKey ?? randomUUID)();
  }
}

function deliveryTo(country: string) {
  const address = {
    recipient: "Load Generator",
    street: "1 Harbour Street",
    city: "Port",
    postalCode: "10115",
    country,
  };
  return { address };
}

function nameOf(state: OrderState): string {
  return (OrderState[state] ?? "unknown").toLowerCase();
}
