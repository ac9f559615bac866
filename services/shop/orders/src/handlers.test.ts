import {
  type Client,
  Code,
  ConnectError,
  createClient,
  createRouterTransport,
  type ServiceImpl,
} from "@connectrpc/connect";
import { createRedactor } from "@weft/chassis";
import { withCallContext } from "@weft/chassis/testing";
import { CatalogService } from "@weft/contracts/shop/catalog/v1";
import { InventoryService, OutOfStockDetailSchema } from "@weft/contracts/shop/inventory/v1";
import { OrderService, OrderState, type WatchOrderResponse } from "@weft/contracts/shop/orders/v1";
import { silentLogger } from "@weft/foundation";
import {
  createDatabase,
  createDataKey,
  createIdempotency,
  createNotifications,
  type Database,
  migrate,
} from "@weft/store";
import { startTestDatabase, startTestPostgres, type TestPostgres } from "@weft/store/testing";
import { expect, test } from "vitest";
import { createHandlers } from "./handlers.js";
import { migrations } from "./migrations.js";
import { createOrderStore, orderChannel } from "./store.js";

type Orders = Client<typeof OrderService>;

/** The two services that orders asks, as their contracts promise; what they were asked is counted. */
function createNeighbours() {
  const reservations = new Map<string, string>();
  const asked = { prices: 0, reserve: [] as string[], release: [] as string[] };
  const catalog: Pick<ServiceImpl<typeof CatalogService>, "batchGetProducts"> = {
    batchGetProducts({ productIds }) {
      asked.prices++;
      const known = productIds.filter((id) => id !== "unknown");
      return {
        products: known.map((productId) => ({
          productId,
          name: `The ${productId}`,
          prices: [{ minorUnits: 1_290n, currency: "EUR" }],
        })),
        missingProductIds: productIds.filter((id) => id === "unknown"),
      };
    },
  };
  const inventory: Pick<ServiceImpl<typeof InventoryService>, "reserve" | "release"> = {
    reserve({ idempotencyKey, lines }) {
      const short = lines.find((line) => line.productId === "rare");
      if (short !== undefined) {
        const value = { shortages: [{ productId: "rare", requested: short.quantity, available: 1 }] };
        throw new ConnectError('out of stock: "rare"', Code.FailedPrecondition, { secret: "header" }, [
          { desc: OutOfStockDetailSchema, value },
        ]);
      }
      asked.reserve.push(idempotencyKey);
      const reservationId = reservations.get(idempotencyKey) ?? crypto.randomUUID();
      reservations.set(idempotencyKey, reservationId);
      return { reservation: { reservationId } };
    },
    release({ reservationId }) {
      asked.release.push(reservationId);
      return { reservation: { reservationId } };
    },
  };
  const transport = createRouterTransport(({ service }) => {
    service(CatalogService, catalog);
    service(InventoryService, inventory);
  });
  return { asked, reservations, transport };
}

interface Fixture extends AsyncDisposable {
  readonly database: Database;
  readonly neighbours: ReturnType<typeof createNeighbours>;
  /** A client of another replica at each call. */
  as(user: string): Orders;
}

async function startFixture(server?: TestPostgres): Promise<Fixture> {
  const home = await startTestDatabase(server === undefined ? {} : { server });
  const owned: AsyncDisposable[] = [home];
  const neighbours = createNeighbours();
  const open = (): Database => {
    const database = createDatabase({ url: home.url });
    owned.push(database);
    return database;
  };
  const database = open();
  await migrate(database, migrations);
  return {
    database,
    neighbours,
    as(user) {
      const own = open();
      const notifications = createNotifications({ url: home.url, channel: orderChannel });
      owned.push(notifications);
      const handlers = createHandlers({
        store: createOrderStore(own),
        idempotency: createIdempotency({ database: own, dataKey: createDataKey(new Uint8Array(32)) }),
        notifications,
        catalog: createClient(CatalogService, neighbours.transport),
        inventory: createClient(InventoryService, neighbours.transport),
        logger: silentLogger,
      });
      const support = { logger: silentLogger, redactor: createRedactor(), currentUser: () => user };
      return createClient(
        OrderService,
        createRouterTransport(({ service }) => {
          service(OrderService, withCallContext(OrderService, handlers, support));
        }),
      );
    },
    async [Symbol.asyncDispose]() {
      for (const resource of owned.reverse()) await resource[Symbol.asyncDispose]();
    },
  };
}

function order(idempotencyKey: string, quantity = 2) {
  return { idempotencyKey, currency: "EUR", items: [{ productId: "tea", quantity }] };
}

async function errorOf(work: Promise<unknown>): Promise<ConnectError> {
  return work.then(
    () => Promise.reject(new Error("it was not refused")),
    (error: unknown) => ConnectError.from(error),
  );
}

const count = async (database: Database): Promise<number> => (await database.query("SELECT 1 FROM orders")).length;

test("an order is priced, reserved and recorded, and found again by its owner only", async () => {
  await using fixture = await startFixture();
  const ann = fixture.as("ann");
  const placed = await ann.placeOrder(order("k"));
  expect(placed.order).toMatchObject({
    state: OrderState.PLACED,
    totalPrice: { minorUnits: 2_580n, currency: "EUR" },
    lines: [
      {
        productId: "tea",
        name: "The tea",
        quantity: 2,
        unitPrice: { minorUnits: 1_290n },
        totalPrice: { minorUnits: 2_580n },
      },
    ],
    reservationId: [...fixture.neighbours.reservations.values()][0],
    version: 1n,
  });
  const orderId = placed.order?.orderId ?? "";
  expect((await ann.getOrder({ orderId })).order).toEqual(placed.order);
  expect((await errorOf(fixture.as("bob").getOrder({ orderId }))).code).toBe(Code.NotFound);
});

test("the same order sent 50 times at once to two replicas is one order and one reply; another body is refused", async () => {
  await using fixture = await startFixture();
  const replicas = [fixture.as("ann"), fixture.as("ann")];
  const replies = await Promise.all(Array.from({ length: 50 }, (_, n) => replicas[n % 2]?.placeOrder(order("k"))));
  expect(new Set(replies.map((reply) => reply?.order?.orderId)).size).toBe(1);
  expect(await count(fixture.database)).toBe(1);
  expect(fixture.neighbours.asked.reserve).toHaveLength(1);
  expect((await errorOf(fixture.as("ann").placeOrder(order("k", 3)))).code).toBe(Code.AlreadyExists);
  expect((await fixture.as("bob").placeOrder(order("k", 3))).order?.lines[0]?.quantity).toBe(3);
});

test("out of stock goes on to the caller with the product and what is left, and without the other service's headers", async () => {
  await using fixture = await startFixture();
  const ann = fixture.as("ann");
  const request = { ...order("k"), items: [{ productId: "rare", quantity: 4 }] };
  const error = await errorOf(ann.placeOrder(request));
  expect(error.code).toBe(Code.FailedPrecondition);
  expect(error.findDetails(OutOfStockDetailSchema)[0]?.shortages).toMatchObject([
    { productId: "rare", requested: 4, available: 1 },
  ]);
  expect(error.metadata.get("secret")).toBeNull();
  expect(await count(fixture.database)).toBe(0);
  // The key is free for what can be had.
  await ann.placeOrder(order("k"));
});

test("what is wrong with a request is named, before anyone is asked", async () => {
  await using fixture = await startFixture();
  const ann = fixture.as("ann");
  const error = await errorOf(ann.placeOrder({ ...order("k"), currency: "euro" }));
  expect([error.code, error.rawMessage]).toEqual([
    Code.InvalidArgument,
    'currency "euro": must be three capital letters (ISO 4217)',
  ]);
  expect(fixture.neighbours.asked.prices).toBe(0);
  const unknown = await errorOf(ann.placeOrder({ ...order("k"), items: [{ productId: "unknown", quantity: 1 }] }));
  expect([unknown.code, unknown.rawMessage]).toEqual([
    Code.InvalidArgument,
    'items[0].product_id "unknown": no such product',
  ]);
  expect((await errorOf(ann.placeOrder(order("")))).code).toBe(Code.InvalidArgument);
  expect((await errorOf(ann.getOrder({ orderId: "1" }))).code).toBe(Code.InvalidArgument);
});

test("stock is released when the order cannot be recorded", async () => {
  await using fixture = await startFixture();
  await fixture.database.query("ALTER TABLE orders ADD CONSTRAINT none_for_zoe CHECK (principal <> 'zoe')");
  expect((await errorOf(fixture.as("zoe").placeOrder(order("k")))).code).toBe(Code.FailedPrecondition);
  expect(fixture.neighbours.asked.release).toEqual([...fixture.neighbours.reservations.values()]);
});

test("a database that goes away in the middle of an order leaves the stock held, and the same order sent again takes that stock", async () => {
  await using server = await startTestPostgres();
  await using fixture = await startFixture(server);
  const ann = fixture.as("ann");
  await ann.listOrders({});
  await fixture.database.query(
    "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(20); RETURN NEW; END'",
  );
  await fixture.database.query("CREATE TRIGGER slow BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION slow()");
  const lost = errorOf(ann.placeOrder(order("k")));
  await expect.poll(() => fixture.neighbours.asked.reserve.length, { timeout: 20_000 }).toBe(1);
  await server.stop();
  expect((await lost).code).toBe(Code.Unavailable);
  expect((await errorOf(ann.listOrders({}))).code).toBe(Code.Unavailable);
  expect(fixture.neighbours.asked.release).toEqual([]);
  await server.start();
  await fixture.database.untilUp(AbortSignal.timeout(20_000));
  await fixture.database.query("DROP TRIGGER slow ON orders");
  const placed = await ann.placeOrder(order("k"));
  expect(placed.order?.reservationId).toBe([...fixture.neighbours.reservations.values()][0]);
  expect(fixture.neighbours.reservations.size).toBe(1);
});

test("orders are listed to their owner only, the newest first, page by page", async () => {
  await using fixture = await startFixture();
  const ann = fixture.as("ann");
  const ids: string[] = [];
  for (let n = 0; n < 5; n++) ids.unshift((await ann.placeOrder(order(`k${n}`))).order?.orderId ?? "");
  await fixture.as("bob").placeOrder(order("k"));
  const first = await ann.listOrders({ pageSize: 3 });
  const second = await ann.listOrders({ pageSize: 3, pageToken: first.nextPageToken });
  expect([...first.orders, ...second.orders].map((listed) => listed.orderId)).toEqual(ids);
  expect(second.nextPageToken).toBe("");
});

test("a watcher on one replica sees a change made on another, and the stream ends with the final state", async () => {
  await using fixture = await startFixture();
  const [watcher, changer] = [fixture.as("ann"), fixture.as("ann")];
  const orderId = (await changer.placeOrder(order("k"))).order?.orderId ?? "";
  const seen: WatchOrderResponse[] = [];
  for await (const update of watcher.watchOrder({ orderId })) {
    seen.push(update);
    if (seen.length === 1) await changer.cancelOrder({ idempotencyKey: "c", orderId });
  }
  expect(seen.map((update) => update.order?.state)).toEqual([OrderState.PLACED, OrderState.CANCELLED]);
  expect(seen[1]?.order?.version).toBe(2n);
  expect(fixture.neighbours.asked.release).toHaveLength(1);
  // Cancelling again, by another key too, changes nothing.
  await changer.cancelOrder({ idempotencyKey: "c2", orderId });
  expect(fixture.neighbours.asked.release).toHaveLength(1);
  const other = fixture.as("bob").watchOrder({ orderId });
  expect((await errorOf(other[Symbol.asyncIterator]().next())).code).toBe(Code.NotFound);
});

test("a watcher that leaves is let go", async () => {
  await using fixture = await startFixture();
  const ann = fixture.as("ann");
  const orderId = (await ann.placeOrder(order("k"))).order?.orderId ?? "";
  const caller = new AbortController();
  const updates = ann.watchOrder({ orderId }, { signal: caller.signal })[Symbol.asyncIterator]();
  await updates.next();
  const next = updates.next();
  caller.abort();
  expect((await errorOf(next)).code).toBe(Code.Canceled);
});
