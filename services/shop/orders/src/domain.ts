import { createHash } from "node:crypto";
import { type Parsed, parsed, refused } from "@weft/foundation";

/** What somebody asks for. */
export interface Item {
  readonly productId: string;
  readonly quantity: number;
}

/** A request for an order, checked as far as can be without asking anyone. */
export interface Draft {
  readonly items: readonly Item[];
  readonly currency: string;
}

/** An item with its price; amounts are minor units of the order's currency. */
export interface Line {
  readonly productId: string;
  readonly name: string;
  readonly quantity: number;
  readonly unitPrice: bigint;
}

export type OrderState = "placed" | "cancelled";

/** What somebody bought. */
export interface Order {
  readonly orderId: string;
  readonly state: OrderState;
  readonly currency: string;
  readonly lines: readonly Line[];
  readonly reservationId: string;
  readonly createTime: Date;
  readonly updateTime: Date;
  readonly version: bigint;
}

/** What pricing needs to know of a product. */
export interface PricedProduct {
  readonly productId: string;
  readonly name: string;
  readonly prices: readonly { readonly currency: string; readonly minorUnits: bigint }[];
}

const mostItems = 50;
const mostOfOne = 1_000;
const mostMinorUnits = 9_223_372_036_854_775_807n;

/**
 * Nothing follows a final state.
 *
 *   placed --cancel--> cancelled (final)
 */
export function isFinal(state: OrderState): boolean {
  return state === "cancelled";
}

/** Checks a request for an order; the error names the field and the value. */
export function parseDraft(items: readonly Item[], currency: string): Parsed<Draft> {
  if (items.length === 0 || items.length > mostItems)
    return refused(`items: ${items.length} of them, must be 1 to ${mostItems}`);
  const seen = new Set<string>();
  for (const [index, { productId, quantity }] of items.entries()) {
    const name = `items[${index}].product_id ${quoted(productId)}`;
    if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(productId))
      return refused(`${name}: must be lower-case letters and digits in parts joined by dashes`);
    if (seen.has(productId)) return refused(`${name}: stands twice`);
    if (quantity < 1 || quantity > mostOfOne)
      return refused(`items[${index}].quantity ${quantity}: must be 1 to ${mostOfOne}`);
    seen.add(productId);
  }
  if (!/^[A-Z]{3}$/.test(currency))
    return refused(`currency ${quoted(currency)}: must be three capital letters (ISO 4217)`);
  return parsed({ items: items.map(({ productId, quantity }) => ({ productId, quantity })), currency });
}

/** Prices a draft by the catalog's products; what has no product or no price is named. */
export function priceDraft(draft: Draft, products: readonly PricedProduct[]): Parsed<readonly Line[]> {
  const byId = new Map(products.map((product) => [product.productId, product]));
  const lines: Line[] = [];
  for (const [index, { productId, quantity }] of draft.items.entries()) {
    const product = byId.get(productId);
    if (product === undefined) return refused(`items[${index}].product_id ${quoted(productId)}: no such product`);
    const price = product.prices.find((candidate) => candidate.currency === draft.currency);
    if (price === undefined) {
      const sold = product.prices.map((candidate) => candidate.currency).join(", ");
      return refused(`currency ${quoted(draft.currency)}: ${quoted(productId)} is sold in ${sold}`);
    }
    lines.push({ productId, name: product.name, quantity, unitPrice: price.minorUnits });
  }
  if (totalOf(lines) > mostMinorUnits) return refused("items: their total is more than can be counted");
  return parsed(lines);
}

/** The price of all of one line. */
export function lineTotal(line: Line): bigint {
  return line.unitPrice * BigInt(line.quantity);
}

/** The price of everything. */
export function totalOf(lines: readonly Line[]): bigint {
  return lines.reduce((sum, line) => sum + lineTotal(line), 0n);
}

/**
 * The key under which an order's stock is reserved: the same whenever the same caller sends the same order again, so that a retry after a
 * crash finds the reservation that was made before it.
 */
export function reservationKey(principal: string, idempotencyKey: string): string {
  return `order-${createHash("sha256")
    .update(JSON.stringify([principal, idempotencyKey]))
    .digest("hex")}`;
}

/** Checks the id of an order. */
export function parseOrderId(id: string): Parsed<string> {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)
    ? parsed(id)
    : refused(`order_id ${quoted(id)}: was not given by PlaceOrder`);
}

/** Checks a page size; 0 means 20. */
export function parsePageSize(size: number): Parsed<number> {
  if (size === 0) return parsed(20);
  return size > 0 && size <= 100 ? parsed(size) : refused(`page_size ${size}: must be 1 to 100, or 0 for 20`);
}

/** The page of orders older than this place in the sequence. */
export function pageTokenBefore(sequence: bigint): string {
  return Buffer.from(`before:${sequence}`).toString("base64url");
}

/** The place that the page comes before; the empty token is the newest page. */
export function parsePageToken(token: string): Parsed<bigint | undefined> {
  if (token === "") return parsed(undefined);
  const match = /^before:(\d{1,18})$/.exec(Buffer.from(token, "base64url").toString());
  return match?.[1] === undefined
    ? refused(`page_token ${quoted(token)}: was not given by ListOrders`)
    : parsed(BigInt(match[1]));
}

/** A value in a message: never longer than a line. */
export function quoted(value: string): string {
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
}
