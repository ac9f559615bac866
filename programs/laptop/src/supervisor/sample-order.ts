import { randomUUID } from "node:crypto";
import { sleep } from "@weft/foundation";
import { isRecord } from "@weft/kube";
import { callServerStream, callUnary } from "./connect-json.js";

/** One order, placed as a customer would. */
export interface SampleOrder {
  readonly orderId: string;
  /** `2 × Kettle`. */
  readonly what: string;
  /** `39.80 EUR`. */
  readonly total: string;
  /** 32 hex digits, when the gateway says which trace it was. */
  readonly traceId: string | undefined;
  readonly tookMs: number;
}

const currency = "EUR";
const query = "tea";
const quantity = 2;
const delivery = {
  address: { recipient: "Sample Customer", street: "Loom Lane 1", city: "Berlin", postalCode: "10115", country: "DE" },
};
const tries = 5;
const betweenTriesMs = 500;

/**
 * Finds a product by search, puts two of it into the cart, gets a token for a test card and checks out. A gateway that can't reach a service yet is
 * asked again, with the same keys. When somebody's things are in the cart already, they stay there: the two are ordered directly.
 */
export async function placeSampleOrder(options: {
  readonly origin: string;
  readonly signal: AbortSignal;
}): Promise<SampleOrder> {
  const visit: Visit = { ...options, key: randomUUID(), cart: undefined };
  for (let attempt = 1; ; attempt++) {
    try {
      return await place(visit);
    } catch (error) {
      if (attempt === tries || options.signal.aborted) throw error;
      await sleep(betweenTriesMs, { signal: options.signal });
    }
  }
}

interface Visit {
  readonly origin: string;
  readonly signal: AbortSignal;
  /** Names what is changed, in all tries. */
  readonly key: string;
  /** Whose the cart is, once that is known. */
  cart: "ours" | "somebody's" | undefined;
}

async function place(visit: Visit): Promise<SampleOrder> {
  const { origin, signal, key } = visit;
  const found = await callServerStream({
    origin,
    method: "shop.catalog.v1.CatalogService/SearchProducts",
    message: { query, limit: 10 },
    signal,
  });
  const product = found.map(parseProduct).find((one) => one?.currencies.includes(currency));
  if (product === undefined) throw new Error(`no product that costs ${currency} is found by ${JSON.stringify(query)}`);
  const { productId } = product;
  const call = async (method: string, message: object) => callUnary({ origin, method, message, signal });

  visit.cart ??= isEmptyCart((await call("shop.cart.v1.CartService/GetCart", {})).message) ? "ours" : "somebody's";
  const item = { idempotencyKey: key, productId, quantity };
  if (visit.cart === "ours") await call("shop.cart.v1.CartService/AddItem", item);
  const cards = await call("shop.payments.v1.PaymentService/ListTestCards", {});
  const card = { idempotencyKey: key, cardNumber: parseTestCard(cards.message) };
  const tokenized = await call("shop.payments.v1.PaymentService/TokenizeCard", card);

  const startMs = performance.now();
  const terms = { idempotencyKey: key, currency, paymentToken: parseToken(tokenized.message), delivery };
  const { message, headers } =
    visit.cart === "ours"
      ? await call("shop.orders.v1.OrderService/Checkout", terms)
      : await call("shop.orders.v1.OrderService/PlaceOrder", { ...terms, items: [{ productId, quantity }] });
  const order = parseOrder(message);
  return {
    ...order,
    what: `${quantity} × ${product.name}`,
    traceId: traceIdOf(headers),
    tookMs: performance.now() - startMs,
  };
}

function isEmptyCart(value: unknown): boolean {
  const cart = isRecord(value) ? value["cart"] : undefined;
  const items = isRecord(cart) ? cart["items"] : undefined;
  return !Array.isArray(items) || items.length === 0;
}

/** The number of a test card that is approved. */
function parseTestCard(value: unknown): string {
  const cards: readonly unknown[] = isRecord(value) && Array.isArray(value["cards"]) ? value["cards"] : [];
  const card = cards.find((one) => isRecord(one) && one["behaviour"] === "approve");
  if (!isRecord(card)) throw new Error("the payment service publishes no test card that is approved");
  return String(card["cardNumber"]);
}

function parseToken(value: unknown): string {
  if (!isRecord(value)) throw new Error("the answer to TokenizeCard has no token");
  return String(value["token"]);
}

/** `traceresponse` is the answer's counterpart of `traceparent` (W3C Trace Context Level 2). */
function traceIdOf(headers: Headers): string | undefined {
  for (const name of ["traceresponse", "traceparent", "x-trace-id"]) {
    const found = /(?:^|-)([0-9a-f]{32})(?:-|$)/.exec(headers.get(name) ?? "")?.[1];
    if (found !== undefined) return found;
  }
  return undefined;
}

function parseProduct(value: unknown): { productId: string; name: string; currencies: readonly string[] } | undefined {
  const product = isRecord(value) ? value["product"] : undefined;
  if (!isRecord(product)) return undefined;
  const prices: readonly unknown[] = Array.isArray(product["prices"]) ? product["prices"] : [];
  const currencies = prices.map((price) => (isRecord(price) ? String(price["currency"]) : ""));
  return { productId: String(product["productId"]), name: String(product["name"]), currencies };
}

function parseOrder(value: unknown): { readonly orderId: string; readonly total: string } {
  const order = isRecord(value) ? value["order"] : undefined;
  if (!isRecord(order)) throw new Error("the answer to PlaceOrder has no order");
  return { orderId: String(order["orderId"]), total: formatMoney(order["totalPrice"]) };
}

/** Minor units by the currency's own digits: 3980 EUR is `39.80 EUR`. */
export function formatMoney(value: unknown): string {
  if (!isRecord(value)) return "?";
  const code = String(value["currency"] ?? "");
  const minor = BigInt(String(value["minorUnits"] ?? 0));
  const digits =
    new Intl.NumberFormat("en", { style: "currency", currency: code }).resolvedOptions().maximumFractionDigits ?? 2;
  const text = String(minor < 0n ? -minor : minor).padStart(digits + 1, "0");
  const sign = minor < 0n ? "-" : "";
  const whole = text.slice(0, text.length - digits);
  return digits === 0 ? `${sign}${whole} ${code}` : `${sign}${whole}.${text.slice(-digits)} ${code}`;
}
