import { type Parsed, parsed, refused } from "@weft/foundation";

/** An amount in minor units of a currency. */
export interface Price {
  readonly currency: string;
  readonly minorUnits: bigint;
}

/** What a cart needs to know of a product. */
export interface Product {
  readonly productId: string;
  readonly name: string;
  readonly weightGrams: number;
  readonly prices: readonly Price[];
}

/** Some of one product, with what the product was when it was first added. */
export interface Item {
  readonly productId: string;
  readonly name: string;
  readonly quantity: number;
  readonly prices: readonly Price[];
  readonly addTime: Date;
}

/** What somebody means to buy. Version 0 is a cart into which nothing was ever put; it has no id. */
export interface Cart {
  readonly cartId: string;
  readonly items: readonly Item[];
  readonly version: bigint;
  readonly updateTime: Date | undefined;
}

/** A line of a cart with its price now. */
export interface CheckoutLine {
  readonly productId: string;
  readonly name: string;
  readonly quantity: number;
  readonly weightGrams: bigint;
  /** Nothing when it is not sold, or not in the currency. */
  readonly unitPrice: bigint | undefined;
  readonly addedUnitPrice: bigint | undefined;
  readonly change: "none" | "price-up" | "price-down" | "not-sold";
}

/** A cart priced in one currency. */
export interface Checkout {
  readonly lines: readonly CheckoutLine[];
  readonly totalPrice: bigint;
  readonly weightGrams: bigint;
  readonly changed: boolean;
}

export const mostItems = 50;
const mostOfOne = 1_000;

export const emptyCart: Cart = { cartId: "", items: [], version: 0n, updateTime: undefined };

/** Adds some of a product to what is there of it; nothing when the cart is full. The line keeps what it remembers of the product. */
export function withAdded(
  items: readonly Item[],
  product: Product,
  quantity: number,
  now: Date,
): readonly Item[] | undefined {
  const { productId, name, prices } = product;
  if (items.some((item) => item.productId === productId))
    return items.map((item) =>
      item.productId === productId ? { ...item, quantity: Math.min(mostOfOne, item.quantity + quantity) } : item,
    );
  return items.length >= mostItems ? undefined : [...items, { productId, name, prices, quantity, addTime: now }];
}

/** Sets how many of a product there are; nothing when it is not in the cart. */
export function withQuantity(items: readonly Item[], productId: string, quantity: number): readonly Item[] | undefined {
  if (!items.some((item) => item.productId === productId)) return undefined;
  return items.map((item) => (item.productId === productId ? { ...item, quantity } : item));
}

export function withoutProduct(items: readonly Item[], productId: string): readonly Item[] {
  return items.filter((item) => item.productId !== productId);
}

/**
 * What two carts are together. Of a product in both: both quantities, at most 1000, in the line that was added first. Products of the other
 * cart follow in their order; for those beyond the 50th there is no room.
 */
export function merged(
  own: readonly Item[],
  other: readonly Item[],
): { readonly items: readonly Item[]; readonly leftOut: readonly string[] } {
  const byId = new Map(other.map((item) => [item.productId, item]));
  const both = own.map((item) => {
    const twin = byId.get(item.productId);
    if (twin === undefined) return item;
    byId.delete(item.productId);
    const first = twin.addTime < item.addTime ? twin : item;
    return { ...first, quantity: Math.min(mostOfOne, item.quantity + twin.quantity) };
  });
  const rest = [...byId.values()];
  const room = Math.max(0, mostItems - both.length);
  return {
    items: [...both, ...rest.slice(0, room)],
    leftOut: rest.slice(room).map((item) => item.productId),
  };
}

/** Prices items by the catalog as it is now. What is not sold does not count. */
export function priced(items: readonly Item[], products: readonly Product[], currency: string): Checkout {
  const byId = new Map(products.map((product) => [product.productId, product]));
  const lines = items.map((item): CheckoutLine => {
    const product = byId.get(item.productId);
    const unitPrice = product === undefined ? undefined : priceIn(product.prices, currency);
    const addedUnitPrice = priceIn(item.prices, currency);
    return {
      productId: item.productId,
      name: product?.name ?? item.name,
      quantity: item.quantity,
      weightGrams: BigInt(product?.weightGrams ?? 0) * BigInt(item.quantity),
      unitPrice,
      addedUnitPrice,
      change: changeOf(unitPrice, addedUnitPrice),
    };
  });
  const sold = lines.filter((line) => line.unitPrice !== undefined);
  return {
    lines,
    totalPrice: sold.reduce((sum, line) => sum + lineTotal(line), 0n),
    weightGrams: sold.reduce((sum, line) => sum + line.weightGrams, 0n),
    changed: lines.some((line) => line.change !== "none"),
  };
}

/** The price of all of one line. */
export function lineTotal(line: CheckoutLine): bigint {
  return (line.unitPrice ?? 0n) * BigInt(line.quantity);
}

function priceIn(prices: readonly Price[], currency: string): bigint | undefined {
  return prices.find((price) => price.currency === currency)?.minorUnits;
}

function changeOf(now: bigint | undefined, added: bigint | undefined): CheckoutLine["change"] {
  if (now === undefined) return "not-sold";
  if (added === undefined || now === added) return "none";
  return now > added ? "price-up" : "price-down";
}

/** Checks the id of a product. */
export function parseProductId(productId: string): Parsed<string> {
  return /^[a-z0-9]+(-[a-z0-9]+)*$/.test(productId) && productId.length <= 64
    ? parsed(productId)
    : refused(`product_id ${quoted(productId)}: must be lower-case letters and digits in parts joined by dashes`);
}

/** Checks how many. */
export function parseQuantity(quantity: number): Parsed<number> {
  return quantity >= 1 && quantity <= mostOfOne
    ? parsed(quantity)
    : refused(`quantity ${quantity}: must be 1 to ${mostOfOne}`);
}

/** Checks the version that a change means; 0 means any. */
export function parseExpectedVersion(version: bigint): Parsed<bigint> {
  return version >= 0n ? parsed(version) : refused(`expected_version ${version}: must not be below 0`);
}

/** Checks the id of a cart. The message does not hold it: who knows it may take the cart. */
export function parseCartId(cartId: string): Parsed<string> {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(cartId)
    ? parsed(cartId)
    : refused("cart_id: is not the id of a cart");
}

/** Checks a currency. */
export function parseCurrency(currency: string): Parsed<string> {
  return /^[A-Z]{3}$/.test(currency)
    ? parsed(currency)
    : refused(`currency ${quoted(currency)}: must be three capital letters (ISO 4217)`);
}

/** A value in a message: never longer than a line. */
export function quoted(value: string): string {
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
}
