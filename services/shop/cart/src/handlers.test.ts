import { type Client, Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { createRedactor } from "@weft/chassis";
import { withCallContext } from "@weft/chassis/testing";
import { CartChangedDetailSchema, CartService, CheckoutChange } from "@weft/contracts/shop/cart/v1";
import { CatalogService } from "@weft/contracts/shop/catalog/v1";
import { silentLogger, systemClock } from "@weft/foundation";
import { createDatabase, createDataKey, createIdempotency, migrate } from "@weft/store";
import { startTestDatabase } from "@weft/store/testing";
import { expect, test } from "vitest";
import { createHandlers } from "./handlers.js";
import { migrations } from "./migrations.js";
import { createCartStore } from "./store.js";

type Cart = Client<typeof CartService>;

interface Fixture extends AsyncDisposable {
  /** What the catalog sells, and for how much; may be changed. */
  readonly prices: Map<string, bigint>;
  /** Makes the catalog fail, or answer again. */
  catalogFails(code: Code | undefined): void;
  /** A client of the first replica, or of the second. */
  as(user: string, replica?: 0 | 1): Cart;
}

async function startFixture(): Promise<Fixture> {
  const home = await startTestDatabase();
  const databases = [createDatabase({ url: home.url }), createDatabase({ url: home.url })] as const;
  await migrate(databases[0], migrations);
  const prices = new Map([
    ["tea", 1_290n],
    ["mug", 900n],
    ["pot", 2_500n],
  ]);
  let failure: Code | undefined;
  const catalog = createClient(
    CatalogService,
    createRouterTransport(({ service }) => {
      service(CatalogService, {
        batchGetProducts({ productIds }) {
          if (failure !== undefined) throw new ConnectError("no", failure, { secret: "header" });
          const products = productIds.flatMap((productId) => {
            const minorUnits = prices.get(productId);
            if (minorUnits === undefined) return [];
            return [
              { productId, name: `The ${productId}`, weightGrams: 200, prices: [{ minorUnits, currency: "EUR" }] },
            ];
          });
          return { products };
        },
      });
    }),
  );
  return {
    prices,
    catalogFails: (code) => {
      failure = code;
    },
    as(user, replica = 0) {
      const database = databases[replica];
      const handlers = createHandlers({
        store: createCartStore(database),
        idempotency: createIdempotency({ database, dataKey: createDataKey(new Uint8Array(32)) }),
        catalog,
        clock: systemClock,
      });
      const support = { logger: silentLogger, redactor: createRedactor(), currentUser: () => user };
      return createClient(
        CartService,
        createRouterTransport(({ service }) => {
          service(CartService, withCallContext(CartService, handlers, support));
        }),
      );
    },
    async [Symbol.asyncDispose]() {
      for (const database of databases) await database[Symbol.asyncDispose]();
      await home[Symbol.asyncDispose]();
    },
  };
}

async function errorOf(work: Promise<unknown>): Promise<ConnectError> {
  return work.then(
    () => Promise.reject(new Error("it was not refused")),
    (error: unknown) => ConnectError.from(error),
  );
}

const add = (idempotencyKey: string, productId = "tea", quantity = 1) => ({ idempotencyKey, productId, quantity });

test("a cart is filled, changed, emptied and counted; it is its caller's alone", async () => {
  await using fixture = await startFixture();
  const ann = fixture.as("ann");
  expect((await ann.getCart({})).cart).toMatchObject({ cartId: "", items: [], version: 0n });
  await ann.removeItem({ idempotencyKey: "r0", productId: "tea" });
  expect((await ann.getCart({})).cart).toMatchObject({ cartId: "", items: [], version: 0n });
  await ann.addItem(add("a1", "tea", 2));
  const { cart } = await ann.addItem(add("a2", "mug", 1));
  expect(cart).toMatchObject({
    items: [
      { productId: "tea", name: "The tea", quantity: 2 },
      { productId: "mug", quantity: 1 },
    ],
    version: 2n,
  });
  expect((await ann.getCart({})).cart).toEqual(cart);
  expect((await fixture.as("bob").getCart({})).cart?.items).toEqual([]);
  await ann.setQuantity({ idempotencyKey: "s", productId: "tea", quantity: 7 });
  expect((await errorOf(ann.setQuantity({ idempotencyKey: "s2", productId: "pot", quantity: 7 }))).code).toBe(
    Code.NotFound,
  );
  await ann.removeItem({ idempotencyKey: "r", productId: "mug" });
  await ann.removeItem({ idempotencyKey: "r2", productId: "mug" });
  expect((await ann.getCart({})).cart).toMatchObject({ items: [{ productId: "tea", quantity: 7 }], version: 4n });
  await ann.clearCart({ idempotencyKey: "c" });
  expect((await ann.clearCart({ idempotencyKey: "c2" })).cart).toMatchObject({ items: [], version: 5n });
});

test("each change has one effect, however often and from wherever it is sent; changes at once are all made", async () => {
  await using fixture = await startFixture();
  await Promise.all(
    Array.from({ length: 60 }, (_, n) => fixture.as("ann", n % 2 === 0 ? 0 : 1).addItem(add(`k${n % 20}`))),
  );
  expect((await fixture.as("ann").getCart({})).cart).toMatchObject({ items: [{ quantity: 20 }], version: 20n });
  expect((await errorOf(fixture.as("ann").addItem(add("k1", "tea", 2)))).code).toBe(Code.AlreadyExists);
  // What was done is answered for without the catalog.
  fixture.catalogFails(Code.Unavailable);
  await fixture.as("ann").addItem(add("k1"));
  const error = await errorOf(fixture.as("ann").addItem(add("new")));
  expect([error.code, error.metadata.get("secret")]).toEqual([Code.Unavailable, null]);
  fixture.catalogFails(Code.InvalidArgument);
  expect((await errorOf(fixture.as("ann").addItem(add("new")))).code).toBe(Code.Internal);
});

test("of changes that mean one version, one is made; the others learn the version that there is", async () => {
  await using fixture = await startFixture();
  const ann = fixture.as("ann");
  await ann.addItem(add("a"));
  const ends = await Promise.allSettled(
    Array.from({ length: 10 }, (_, n) =>
      fixture.as("ann", n % 2 === 0 ? 0 : 1).setQuantity({
        idempotencyKey: `s${n}`,
        productId: "tea",
        quantity: n + 2,
        expectedVersion: 1n,
      }),
    ),
  );
  expect(ends.filter((end) => end.status === "fulfilled")).toHaveLength(1);
  const error = await errorOf(ann.clearCart({ idempotencyKey: "c", expectedVersion: 1n }));
  expect([error.code, error.findDetails(CartChangedDetailSchema)[0]?.version]).toEqual([Code.FailedPrecondition, 2n]);
  await ann.clearCart({ idempotencyKey: "c", expectedVersion: 2n });
});

test("another cart's items move into the caller's once; nothing is lost or doubled when carts merge into each other", async () => {
  await using fixture = await startFixture();
  const [ann, guest] = [fixture.as("ann"), fixture.as("guest-1")];
  await ann.addItem(add("a", "tea", 2));
  await guest.addItem(add("a", "tea", 3));
  await guest.addItem(add("b", "pot", 1));
  const cartId = (await guest.getCart({})).cart?.cartId ?? "";
  const merge = { idempotencyKey: "m", cartId };
  const [one, other] = await Promise.all([ann.mergeCart(merge), fixture.as("ann", 1).mergeCart(merge)]);
  expect(one).toEqual(other);
  expect(one.cart?.items).toMatchObject([
    { productId: "tea", quantity: 5 },
    { productId: "pot", quantity: 1 },
  ]);
  expect((await guest.getCart({})).cart?.items).toEqual([]);
  expect((await ann.mergeCart({ idempotencyKey: "m2", cartId })).cart).toEqual(one.cart);
  const own = one.cart?.cartId ?? "";
  expect((await errorOf(ann.mergeCart({ idempotencyKey: "m3", cartId: own }))).code).toBe(Code.InvalidArgument);
  const unknown = { idempotencyKey: "m4", cartId: crypto.randomUUID() };
  const error = await errorOf(ann.mergeCart(unknown));
  expect([error.code, error.message]).toEqual([Code.NotFound, expect.not.stringContaining(unknown.cartId)]);

  for (let n = 0; n < 10; n++) {
    await Promise.all([
      fixture.as("ann", 0).mergeCart({ idempotencyKey: `x${n}`, cartId }),
      fixture.as("guest-1", 1).mergeCart({ idempotencyKey: `x${n}`, cartId: own }),
    ]);
    const carts = await Promise.all([ann.getCart({}), guest.getCart({})]);
    const quantities = carts.flatMap(({ cart }) => cart?.items.map((line) => line.quantity) ?? []);
    expect(quantities.reduce((sum, quantity) => sum + quantity, 0)).toBe(6);
  }
});

test("a checkout has the prices of now, and says what changed since things were added", async () => {
  await using fixture = await startFixture();
  const ann = fixture.as("ann");
  expect((await errorOf(ann.prepareCheckout({ currency: "EUR" }))).code).toBe(Code.FailedPrecondition);
  for (const [n, productId] of ["tea", "mug", "pot"].entries()) await ann.addItem(add(`a${n}`, productId, 2));
  expect(await ann.prepareCheckout({ currency: "EUR" })).toMatchObject({
    totalPrice: { minorUnits: 9_380n, currency: "EUR" },
    weightGrams: 1_200n,
    changed: false,
    version: 3n,
  });
  fixture.prices.set("tea", 1_300n).delete("pot");
  const checkout = await ann.prepareCheckout({ currency: "EUR" });
  expect(checkout).toMatchObject({ totalPrice: { minorUnits: 4_400n }, weightGrams: 800n, changed: true });
  expect(
    checkout.lines.map((line) => [line.change, line.unitPrice?.minorUnits, line.addedUnitPrice?.minorUnits]),
  ).toEqual([
    [CheckoutChange.PRICE_UP, 1_300n, 1_290n],
    [CheckoutChange.UNSPECIFIED, 900n, 900n],
    [CheckoutChange.NOT_SOLD, undefined, 2_500n],
  ]);
  fixture.catalogFails(Code.Unavailable);
  expect((await errorOf(ann.prepareCheckout({ currency: "EUR" }))).code).toBe(Code.Unavailable);
});

test("what is wrong with a request is named", async () => {
  await using fixture = await startFixture();
  const ann = fixture.as("ann");
  const wrong = [
    ann.addItem(add("a", "Tea")),
    ann.addItem(add("a", "no-such-thing")),
    ann.addItem(add("a", "tea", 0)),
    ann.addItem(add("", "tea")),
    ann.addItem({ ...add("a"), expectedVersion: -1n }),
    ann.setQuantity({ idempotencyKey: "s", productId: "tea", quantity: 1_001 }),
    ann.mergeCart({ idempotencyKey: "m", cartId: "1" }),
    ann.prepareCheckout({ currency: "euro" }),
  ];
  for (const error of await Promise.all(wrong.map(errorOf))) expect(error.code).toBe(Code.InvalidArgument);
});
