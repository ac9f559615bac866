import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { CallContext, Handlers } from "@weft/chassis";
import { CartChangedDetailSchema, type CartSchema, CartService, CheckoutChange } from "@weft/contracts/shop/cart/v1";
import type { CatalogService } from "@weft/contracts/shop/catalog/v1";
import type { Clock, Parsed } from "@weft/foundation";
import type { Idempotency, Transaction } from "@weft/store";
import {
  type Cart,
  type CheckoutLine,
  emptyCart,
  type Item,
  lineTotal,
  merged,
  mostItems,
  type Product,
  parseCartId,
  parseCurrency,
  parseExpectedVersion,
  parseProductId,
  parseQuantity,
  priced,
  quoted,
  withAdded,
  withoutProduct,
  withQuantity,
} from "./domain.js";
import type { CartStore } from "./store.js";
import { fromCatalogError } from "./upstream-errors.js";

export interface HandlerParts {
  readonly store: CartStore;
  readonly idempotency: Idempotency;
  readonly catalog: Pick<Client<typeof CatalogService>, "batchGetProducts">;
  readonly clock: Clock;
}

const { addItem, setQuantity, removeItem, mergeCart, clearCart } = CartService.method;

/** The cart's methods over its store and the catalog. */
export function createHandlers({ store, idempotency, catalog, clock }: HandlerParts): Handlers<typeof CartService> {
  /** The products that the catalog knows. Asked before a transaction is open, never in one. */
  const productsOf = async (productIds: readonly string[], signal: AbortSignal): Promise<readonly Product[]> => {
    if (productIds.length === 0) return [];
    const { products } = await catalog
      .batchGetProducts({ productIds: [...productIds] }, { signal })
      .catch((error: unknown) => {
        throw fromCatalogError(error);
      });
    return products;
  };

  /** Changes the caller's cart, when it is the one that is meant. What changes nothing makes no version. */
  const change = async (
    tx: Transaction,
    principal: string,
    expectedVersion: bigint,
    work: (items: readonly Item[]) => readonly Item[],
  ): Promise<Cart> => {
    const cart = await store.open(tx, principal);
    checkVersion(cart, expectedVersion);
    const items = work(cart.items);
    return items === cart.items ? cart : store.save(tx, cart.cartId, items);
  };

  return {
    async getCart(_, context) {
      return { cart: toMessage((await store.find(context.user, context)) ?? emptyCart) };
    },

    async addItem(request, context) {
      const productId = valid(parseProductId(request.productId));
      const quantity = valid(parseQuantity(request.quantity));
      const expected = valid(parseExpectedVersion(request.expectedVersion));
      const call = { method: addItem, request, ...callerOf(context) };
      const known = await idempotency.recall(call);
      if (known !== undefined) return known;
      const [product] = await productsOf([productId], context.signal);
      if (product === undefined)
        throw new ConnectError(`product_id ${quoted(productId)}: no such product`, Code.InvalidArgument);
      return idempotency.run(call, async (tx) => {
        const cart = await change(tx, context.user, expected, (items) => {
          const added = withAdded(items, product, quantity, new Date(clock.wallMs()));
          if (added === undefined)
            throw new ConnectError(`the cart holds ${mostItems} products already`, Code.FailedPrecondition);
          return added;
        });
        return create(addItem.output, { cart: toMessage(cart) });
      });
    },

    async setQuantity(request, context) {
      const productId = valid(parseProductId(request.productId));
      const quantity = valid(parseQuantity(request.quantity));
      const expected = valid(parseExpectedVersion(request.expectedVersion));
      return idempotency.run({ method: setQuantity, request, ...callerOf(context) }, async (tx) => {
        const cart = await change(tx, context.user, expected, (items) => {
          const set = withQuantity(items, productId, quantity);
          if (set === undefined)
            throw new ConnectError(`product_id ${quoted(productId)}: is not in the cart`, Code.NotFound);
          return set;
        });
        return create(setQuantity.output, { cart: toMessage(cart) });
      });
    },

    async removeItem(request, context) {
      const productId = valid(parseProductId(request.productId));
      const expected = valid(parseExpectedVersion(request.expectedVersion));
      return idempotency.run({ method: removeItem, request, ...callerOf(context) }, async (tx) => {
        const cart = await change(tx, context.user, expected, (items) => {
          const left = withoutProduct(items, productId);
          return left.length === items.length ? items : left;
        });
        return create(removeItem.output, { cart: toMessage(cart) });
      });
    },

    async mergeCart(request, context) {
      const cartId = valid(parseCartId(request.cartId));
      const expected = valid(parseExpectedVersion(request.expectedVersion));
      return idempotency.run({ method: mergeCart, request, ...callerOf(context) }, async (tx) => {
        const { own, other } = await store.openBoth(tx, context.user, cartId);
        if (other === undefined) throw new ConnectError("cart_id: no such cart exists", Code.NotFound);
        if (other.cartId === own.cartId)
          throw new ConnectError("cart_id: is the caller's own cart", Code.InvalidArgument);
        checkVersion(own, expected);
        if (other.items.length === 0) return create(mergeCart.output, { cart: toMessage(own) });
        const { items, leftOut } = merged(own.items, other.items);
        await store.save(tx, other.cartId, []);
        const cart = await store.save(tx, own.cartId, items);
        return create(mergeCart.output, { cart: toMessage(cart), leftOutProductIds: [...leftOut] });
      });
    },

    async clearCart(request, context) {
      const expected = valid(parseExpectedVersion(request.expectedVersion));
      return idempotency.run({ method: clearCart, request, ...callerOf(context) }, async (tx) => {
        const cart = await change(tx, context.user, expected, (items) => (items.length === 0 ? items : []));
        return create(clearCart.output, { cart: toMessage(cart) });
      });
    },

    async prepareCheckout(request, context) {
      const currency = valid(parseCurrency(request.currency));
      const cart = (await store.find(context.user, context)) ?? emptyCart;
      if (cart.items.length === 0) throw new ConnectError("the cart is empty", Code.FailedPrecondition);
      const products = await productsOf(
        cart.items.map((item) => item.productId),
        context.signal,
      );
      return toCheckout(cart, products, currency);
    },
  };
}

/** Refuses a change that means another version: FAILED_PRECONDITION, with the version that there is. */
function checkVersion(cart: Cart, expected: bigint): void {
  if (expected === 0n || expected === cart.version) return;
  const detail = { desc: CartChangedDetailSchema, value: { version: cart.version } };
  const text = `expected_version ${expected}: the cart has version ${cart.version}`;
  throw new ConnectError(text, Code.FailedPrecondition, undefined, [detail]);
}

function callerOf(context: CallContext): { readonly principal: string; readonly bounds: CallContext } {
  return { principal: context.user, bounds: context };
}

function valid<T>(value: Parsed<T>): T {
  if (!value.ok) throw new ConnectError(value.error, Code.InvalidArgument);
  return value.value;
}

function toMessage(cart: Cart): MessageInitShape<typeof CartSchema> {
  // Made to be locked, and never filled.
  if (cart.version === 0n) return {};
  return {
    cartId: cart.cartId,
    items: cart.items.map(({ productId, name, quantity, addTime }) => ({
      productId,
      name,
      quantity,
      addTime: timestampFromDate(addTime),
    })),
    version: cart.version,
    ...(cart.updateTime === undefined ? {} : { updateTime: timestampFromDate(cart.updateTime) }),
  };
}

const wireChanges = {
  none: CheckoutChange.UNSPECIFIED,
  "price-up": CheckoutChange.PRICE_UP,
  "price-down": CheckoutChange.PRICE_DOWN,
  "not-sold": CheckoutChange.NOT_SOLD,
} as const;

function toCheckout(cart: Cart, products: readonly Product[], currency: string) {
  const checkout = priced(cart.items, products, currency);
  const money = (minorUnits: bigint) => ({ minorUnits, currency });
  const toLine = (line: CheckoutLine) => ({
    productId: line.productId,
    name: line.name,
    quantity: line.quantity,
    weightGrams: line.weightGrams,
    change: wireChanges[line.change],
    ...(line.unitPrice === undefined ? {} : { unitPrice: money(line.unitPrice), totalPrice: money(lineTotal(line)) }),
    ...(line.addedUnitPrice === undefined ? {} : { addedUnitPrice: money(line.addedUnitPrice) }),
  });
  return {
    cartId: cart.cartId,
    version: cart.version,
    lines: checkout.lines.map(toLine),
    totalPrice: money(checkout.totalPrice),
    weightGrams: checkout.weightGrams,
    changed: checkout.changed,
  };
}
