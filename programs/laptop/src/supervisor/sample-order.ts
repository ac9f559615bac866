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
const tries = 5;
const betweenTriesMs = 500;

/** Finds a product by search and orders two of it. A gateway that can't reach a service yet is asked again, with the same key. */
export async function placeSampleOrder(options: {
  readonly origin: string;
  readonly signal: AbortSignal;
}): Promise<SampleOrder> {
  const idempotencyKey = randomUUID();
  for (let attempt = 1; ; attempt++) {
    try {
      return await place({ ...options, idempotencyKey });
    } catch (error) {
      if (attempt === tries || options.signal.aborted) throw error;
      await sleep(betweenTriesMs, { signal: options.signal });
    }
  }
}

async function place(options: {
  readonly origin: string;
  readonly signal: AbortSignal;
  readonly idempotencyKey: string;
}): Promise<SampleOrder> {
  const { origin, signal, idempotencyKey } = options;
  const found = await callServerStream({
    origin,
    method: "shop.catalog.v1.CatalogService/SearchProducts",
    message: { query, limit: 10 },
    signal,
  });
  const product = found.map(parseProduct).find((one) => one?.currencies.includes(currency));
  if (product === undefined) throw new Error(`no product that costs ${currency} is found by ${JSON.stringify(query)}`);
  const startMs = performance.now();
  const { message, headers } = await callUnary({
    origin,
    method: "shop.orders.v1.OrderService/PlaceOrder",
    message: { idempotencyKey, items: [{ productId: product.productId, quantity: 2 }], currency },
    signal,
  });
  const order = parseOrder(message);
  return {
    ...order,
    what: `2 × ${product.name}`,
    traceId: traceIdOf(headers),
    tookMs: performance.now() - startMs,
  };
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
