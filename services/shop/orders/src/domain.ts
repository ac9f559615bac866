import { type Parsed, parsed, refused } from "@weft/foundation";

/** What somebody asks for. */
export interface Item {
  readonly productId: string;
  readonly quantity: number;
}

export type Speed = "standard" | "express";

/** Where an order goes. */
export interface Address {
  readonly recipient: string;
  readonly street: string;
  readonly city: string;
  readonly postalCode: string;
  readonly country: string;
}

/** How an order is paid and sent, checked as far as can be without asking anyone. */
export interface Terms {
  readonly currency: string;
  readonly paymentToken: string;
  readonly address: Address;
  readonly speed: Speed;
}

/** An item with its price; amounts are minor units of the order's currency. */
export interface Line extends Item {
  readonly name: string;
  readonly unitPrice: bigint;
}

/** What an order costs. */
export interface Quote {
  readonly lines: readonly Line[];
  readonly shipping: bigint;
}

/** What was done for an order that is paid. */
export interface Fulfilment {
  readonly reservationId: string;
  readonly paymentId: string;
  readonly labelId: string;
  readonly trackingCode: string;
}

export type OrderState =
  | "placed"
  | "awaiting-challenge"
  | "confirmed"
  | "shipped"
  | "refused"
  | "cancelling"
  | "cancelled"
  | "partially-refunded"
  | "refunded";

export type RefusalReason =
  | "invalid"
  | "cart-empty"
  | "cart-changed"
  | "out-of-stock"
  | "not-deliverable"
  | "card-declined"
  | "insufficient-funds"
  | "challenge-unanswered"
  | "payment-refused"
  | "unavailable";

/** A product of which there was too little. */
export interface Shortage {
  readonly productId: string;
  readonly requested: number;
  readonly available: number;
}

/** Why an order came to nothing. */
export interface Refusal {
  readonly reason: RefusalReason;
  readonly message: string;
  readonly shortages: readonly Shortage[];
}

/** What the card's bank wants to hear from its owner. */
export interface Challenge {
  readonly prompt: string;
  readonly expireTime: Date;
  /** The key of the answer that was passed on last; nothing before one was. */
  readonly answerKey?: string;
}

/** What somebody bought. */
export interface Order {
  readonly orderId: string;
  readonly principal: string;
  readonly state: OrderState;
  readonly currency: string;
  /** Empty until a cart that is checked out was read. */
  readonly items: readonly Item[];
  readonly quote: Quote | undefined;
  readonly fulfilment: Fulfilment | undefined;
  /** What was given back of what was paid. */
  readonly refunded: bigint;
  /** What is being given back at the moment, beside that. */
  readonly refunding: bigint;
  readonly refusal: Refusal | undefined;
  /** Stays when it was answered: an order is challenged once. */
  readonly challenge: Challenge | undefined;
  /** When it was seen that the carrier has got it. */
  readonly shipTime: Date | undefined;
  readonly createTime: Date;
  readonly updateTime: Date;
  readonly version: bigint;
}

/** What pricing needs to know of a product. */
export interface PricedProduct {
  readonly productId: string;
  readonly name: string;
  readonly weightGrams: number;
  readonly prices: readonly { readonly currency: string; readonly minorUnits: bigint }[];
}

const mostItems = 50;
const mostOfOne = 1_000;
const mostMinorUnits = 9_223_372_036_854_775_807n;

/** Checks what is to be bought; the error names the field and the value. */
export function parseItems(items: readonly Item[]): Parsed<readonly Item[]> {
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
  return parsed(items.map(({ productId, quantity }) => ({ productId, quantity })));
}

/** Checks how an order is to be paid and sent. What an address says is not repeated: it is somebody's. */
export function parseTerms(terms: {
  readonly currency: string;
  readonly paymentToken: string;
  readonly address: Address | undefined;
  readonly speed: Speed;
}): Parsed<Terms> {
  const { currency, paymentToken, address, speed } = terms;
  if (!/^[A-Z]{3}$/.test(currency))
    return refused(`currency ${quoted(currency)}: must be three capital letters (ISO 4217)`);
  if (!/^[\w-]{1,64}$/.test(paymentToken)) return refused("payment_token: must be a token from TokenizeCard");
  if (address === undefined) return refused("delivery.address: must be set");
  const { recipient, street, city, postalCode, country } = address;
  for (const [name, line] of Object.entries({ recipient, street, city })) {
    if (line.trim() === "" || line.length > 100)
      return refused(`delivery.address.${name}: must have 1 to 100 characters`);
  }
  if (postalCode.length > 20) return refused("delivery.address.postal_code: must have at most 20 characters");
  if (!/^[A-Z]{2}$/.test(country)) return refused("delivery.address.country: must be two capital letters (ISO 3166-1)");
  return parsed({ currency, paymentToken, address: { recipient, street, city, postalCode, country }, speed });
}

/** Prices items by the catalog's products; what has no product or no price is named. */
export function priceItems(
  items: readonly Item[],
  currency: string,
  products: readonly PricedProduct[],
): Parsed<{ readonly lines: readonly Line[]; readonly weightGrams: bigint }> {
  const byId = new Map(products.map((product) => [product.productId, product]));
  const lines: Line[] = [];
  let weightGrams = 0n;
  for (const [index, { productId, quantity }] of items.entries()) {
    const product = byId.get(productId);
    if (product === undefined) return refused(`items[${index}].product_id ${quoted(productId)}: no such product`);
    const price = product.prices.find((candidate) => candidate.currency === currency);
    if (price === undefined) {
      const sold = product.prices.map((candidate) => candidate.currency).join(", ");
      return refused(`currency ${quoted(currency)}: ${quoted(productId)} is sold in ${sold}`);
    }
    lines.push({ productId, name: product.name, quantity, unitPrice: price.minorUnits });
    weightGrams += BigInt(product.weightGrams) * BigInt(quantity);
  }
  if (totalOf({ lines, shipping: 0n }) > mostMinorUnits)
    return refused("items: their total is more than can be counted");
  return parsed({ lines, weightGrams });
}

/** The price of all of one line. */
export function lineTotal(line: Line): bigint {
  return line.unitPrice * BigInt(line.quantity);
}

/** The price of everything, sending too. */
export function totalOf(quote: Quote): bigint {
  return quote.lines.reduce((sum, line) => sum + lineTotal(line), quote.shipping);
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

/** Checks how much is to be given back; nothing means all that is left. */
export function parseAmount(
  amount: { readonly minorUnits: bigint; readonly currency: string } | undefined,
): Parsed<{ readonly minorUnits: bigint; readonly currency: string } | undefined> {
  if (amount === undefined) return parsed(undefined);
  const { minorUnits, currency } = amount;
  return minorUnits > 0n
    ? parsed({ minorUnits, currency })
    : refused(`amount.minor_units ${minorUnits}: must be more than 0`);
}

/** Checks what a cardholder answered; the error holds no part of it. */
export function parseAnswer(answer: string): Parsed<string> {
  return answer.length >= 1 && answer.length <= 200 ? parsed(answer) : refused("answer: must have 1 to 200 characters");
}

/** A value in a message: never longer than a line. */
export function quoted(value: string): string {
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
}
