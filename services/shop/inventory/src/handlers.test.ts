import { type Client, Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { createRedactor } from "@weft/chassis";
import { withCallContext } from "@weft/chassis/testing";
import {
  InventoryService,
  OutOfStockDetailSchema,
  ReservationState,
  ReservationUndoneDetailSchema,
} from "@weft/contracts/shop/inventory/v1";
import { silentLogger } from "@weft/foundation";
import { createDatabase, createDataKey, createIdempotency, type Database, migrate } from "@weft/store";
import { startTestDatabase, startTestPostgres, type TestPostgres } from "@weft/store/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createHandlers } from "./handlers.js";
import { migrations } from "./migrations.js";
import { createInventoryStore } from "./store.js";

type Inventory = Client<typeof InventoryService>;

interface Fixture extends AsyncDisposable {
  readonly database: Database;
  readonly url: string;
  as(user: string): Inventory;
  setStock(productId: string, available: number): Promise<void>;
  stockOf(productId: string): Promise<{ available: number; held: number }>;
}

function clientOf(database: Database, user: string): Inventory {
  const idempotency = createIdempotency({ database, dataKey: createDataKey(new Uint8Array(32)) });
  const handlers = createHandlers({ store: createInventoryStore(database), idempotency });
  const support = { logger: silentLogger, redactor: createRedactor(), currentUser: () => user };
  return createClient(
    InventoryService,
    createRouterTransport(({ service }) => {
      service(InventoryService, withCallContext(InventoryService, handlers, support));
    }),
  );
}

async function startFixture(server?: TestPostgres): Promise<Fixture> {
  const home = await startTestDatabase(server === undefined ? {} : { server });
  const database = createDatabase({ url: home.url });
  await migrate(database, migrations);
  const ann = clientOf(database, "ann");
  return {
    database,
    url: home.url,
    as: (user) => (user === "ann" ? ann : clientOf(database, user)),
    async setStock(productId, available) {
      await database.query(
        "INSERT INTO stock (product_id, available) VALUES ($1, $2) ON CONFLICT (product_id) DO UPDATE SET available = $2, held = 0",
        [productId, available],
      );
    },
    async stockOf(productId) {
      const { stocks } = await ann.getStock({ productIds: [productId] });
      return { available: stocks[0]?.available ?? -1, held: stocks[0]?.held ?? -1 };
    },
    async [Symbol.asyncDispose]() {
      await database[Symbol.asyncDispose]();
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

test("a reservation holds, a release gives back, a commit takes for good", async () => {
  await using fixture = await startFixture();
  await fixture.setStock("tea", 10);
  const ann = fixture.as("ann");
  const { reservation } = await ann.reserve({ idempotencyKey: "r1", lines: [{ productId: "tea", quantity: 4 }] });
  const reservationId = reservation?.reservationId ?? "";
  expect(reservation?.state).toBe(ReservationState.HELD);
  expect(await fixture.stockOf("tea")).toEqual({ available: 6, held: 4 });
  const released = await ann.release({ idempotencyKey: "x1", reservationId });
  expect(released.reservation?.state).toBe(ReservationState.RELEASED);
  await ann.release({ idempotencyKey: "x2", reservationId });
  expect(await fixture.stockOf("tea")).toEqual({ available: 10, held: 0 });
  expect((await errorOf(ann.commit({ idempotencyKey: "c1", reservationId }))).code).toBe(Code.FailedPrecondition);

  // The key of what was released is free again.
  const again = await ann.reserve({ idempotencyKey: "r1", lines: [{ productId: "tea", quantity: 4 }] });
  expect(again.reservation?.reservationId).not.toBe(reservationId);
  await ann.commit({ idempotencyKey: "c2", reservationId: again.reservation?.reservationId ?? "" });
  expect(await fixture.stockOf("tea")).toEqual({ available: 6, held: 0 });
});

test("a release that comes before its reservation forbids the key: the reservation is refused, and nothing is held", async () => {
  await using fixture = await startFixture();
  await fixture.setStock("tea", 5);
  const ann = fixture.as("ann");
  const reserve = { idempotencyKey: "r", lines: [{ productId: "tea", quantity: 2 }] };
  expect((await errorOf(ann.getReservation({ reserveKey: "r" }))).code).toBe(Code.NotFound);
  const released = await ann.release({ idempotencyKey: "x", reserveKey: "r" });
  expect(released.reservation).toMatchObject({ reservationId: "", state: ReservationState.RELEASED });
  expect((await ann.getReservation({ reserveKey: "r" })).reservation?.state).toBe(ReservationState.RELEASED);
  const error = await errorOf(ann.reserve(reserve));
  expect([error.code, error.findDetails(ReservationUndoneDetailSchema).length]).toEqual([Code.FailedPrecondition, 1]);
  await ann.release({ idempotencyKey: "x", reserveKey: "r" });
  await ann.release({ idempotencyKey: "y", reserveKey: "r" });
  expect((await errorOf(ann.reserve(reserve))).code).toBe(Code.FailedPrecondition);
  expect(await fixture.stockOf("tea")).toEqual({ available: 5, held: 0 });
  // Another caller's key of the same name is another key.
  await fixture.as("bob").reserve(reserve);
});

test("a reservation is committed, asked about and released by the key that made it; a copy of the request that comes late is refused", async () => {
  await using fixture = await startFixture();
  await fixture.setStock("tea", 5);
  const ann = fixture.as("ann");
  const reserve = { idempotencyKey: "r", lines: [{ productId: "tea", quantity: 2 }] };
  const { reservation } = await ann.reserve(reserve);
  expect((await ann.getReservation({ reserveKey: "r" })).reservation).toEqual(reservation);
  expect((await ann.getReservation({ reservationId: reservation?.reservationId ?? "" })).reservation).toEqual(
    reservation,
  );
  await ann.release({ idempotencyKey: "x", reserveKey: "r" });
  expect((await ann.getReservation({ reserveKey: "r" })).reservation?.state).toBe(ReservationState.RELEASED);
  expect((await errorOf(ann.reserve(reserve))).code).toBe(Code.FailedPrecondition);
  expect(await fixture.stockOf("tea")).toEqual({ available: 5, held: 0 });

  await ann.reserve({ ...reserve, idempotencyKey: "s" });
  await ann.commit({ idempotencyKey: "c", reserveKey: "s" });
  expect((await errorOf(ann.release({ idempotencyKey: "z", reserveKey: "s" }))).code).toBe(Code.FailedPrecondition);
  expect(await fixture.stockOf("tea")).toEqual({ available: 3, held: 0 });
  const both = { idempotencyKey: "b", reserveKey: "s", reservationId: reservation?.reservationId ?? "" };
  expect((await errorOf(ann.commit(both))).code).toBe(Code.InvalidArgument);
});

test("a release by key racing its reservation leaves nothing held, whichever comes first", async () => {
  await using fixture = await startFixture();
  await using otherDatabase = createDatabase({ url: fixture.url });
  const replicas = [fixture.as("ann"), clientOf(otherDatabase, "ann")];
  await fixture.setStock("tea", 100);
  const race = async (n: number): Promise<void> => {
    const [one, other] = n % 2 === 0 ? replicas : [...replicas].reverse();
    const [, released] = await Promise.allSettled([
      one?.reserve({ idempotencyKey: `r${n}`, lines: [{ productId: "tea", quantity: 1 }] }),
      other?.release({ idempotencyKey: `x${n}`, reserveKey: `r${n}` }),
    ]);
    expect(released).toMatchObject({ status: "fulfilled" });
  };
  // No more pairs at once than each replica has connections: what waits for one longer than 3 s is turned away, whatever races.
  for (let n = 0; n < 60; n += 10) await Promise.all(Array.from({ length: 10 }, (_, at) => race(n + at)));
  expect(await fixture.stockOf("tea")).toEqual({ available: 100, held: 0 });
});

test("what is short is named with what is left, and nothing of the order is held", async () => {
  await using fixture = await startFixture();
  await fixture.setStock("tea", 2);
  await fixture.setStock("mug", 9);
  const lines = [
    { productId: "mug", quantity: 1 },
    { productId: "tea", quantity: 3 },
  ];
  const error = await errorOf(fixture.as("ann").reserve({ idempotencyKey: "r", lines }));
  expect(error.code).toBe(Code.FailedPrecondition);
  expect(error.rawMessage).toBe('out of stock: "tea": 3 asked for, 2 left');
  expect(error.findDetails(OutOfStockDetailSchema)[0]?.shortages).toMatchObject([
    { productId: "tea", requested: 3, available: 2 },
  ]);
  expect(await fixture.stockOf("mug")).toEqual({ available: 9, held: 0 });
});

test("a reservation belongs to its caller; unknown products and reservations are NOT_FOUND", async () => {
  await using fixture = await startFixture();
  await fixture.setStock("tea", 5);
  const { reservation } = await fixture
    .as("ann")
    .reserve({ idempotencyKey: "r", lines: [{ productId: "tea", quantity: 1 }] });
  const reservationId = reservation?.reservationId ?? "";
  const bob = fixture.as("bob");
  expect((await errorOf(bob.release({ idempotencyKey: "x", reservationId }))).code).toBe(Code.NotFound);
  expect((await errorOf(bob.release({ idempotencyKey: "x", reservationId: "nonsense" }))).code).toBe(
    Code.InvalidArgument,
  );
  expect(
    (await errorOf(bob.reserve({ idempotencyKey: "x", lines: [{ productId: "no-such", quantity: 1 }] }))).code,
  ).toBe(Code.NotFound);
  expect((await errorOf(bob.getStock({ productIds: ["no-such"] }))).code).toBe(Code.NotFound);
});

test("committed stock comes back once, however often it is restocked", async () => {
  await using fixture = await startFixture();
  await fixture.setStock("tea", 5);
  const ann = fixture.as("ann");
  await ann.reserve({ idempotencyKey: "r", lines: [{ productId: "tea", quantity: 2 }] });
  const early = await errorOf(ann.restock({ idempotencyKey: "early", reserveKey: "r" }));
  expect([early.code, await fixture.stockOf("tea")]).toEqual([Code.FailedPrecondition, { available: 3, held: 2 }]);
  await ann.commit({ idempotencyKey: "c", reserveKey: "r" });
  expect(await fixture.stockOf("tea")).toEqual({ available: 3, held: 0 });
  const keys = ["one", "one", "two"];
  const replies = await Promise.all(keys.map((key) => ann.restock({ idempotencyKey: key, reserveKey: "r" })));
  expect(replies.map((reply) => reply.reservation?.state)).toEqual(Array(3).fill(ReservationState.RESTOCKED));
  expect(await fixture.stockOf("tea")).toEqual({ available: 5, held: 0 });
  expect((await errorOf(ann.commit({ idempotencyKey: "c2", reserveKey: "r" }))).code).toBe(Code.FailedPrecondition);
});

test("stock never falls below zero and never gets lost, whatever happens at the same time", async () => {
  await using fixture = await startFixture();
  await using otherDatabase = createDatabase({ url: fixture.url });
  const replicas = [fixture.as("ann"), clientOf(otherDatabase, "ann")];
  const products = ["tea", "mug", "pot"];
  const step = fc.record({
    quantities: fc.tuple(
      fc.integer({ min: 0, max: 4 }),
      fc.integer({ min: 0, max: 4 }),
      fc.integer({ min: 0, max: 4 }),
    ),
    reversed: fc.boolean(),
    next: fc.constantFrom("keep", "release", "commit", "both"),
  });
  let round = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
      round++;
      for (const product of products) await fixture.setStock(product, 12);
      const gone = new Map(products.map((product) => [product, 0]));
      const held = new Map(products.map((product) => [product, 0]));
      const count = (into: Map<string, number>, lines: readonly { productId: string; quantity: number }[]): void => {
        for (const line of lines) into.set(line.productId, (into.get(line.productId) ?? 0) + line.quantity);
      };
      await Promise.all(
        steps.map(async ({ quantities, reversed, next }, index) => {
          const replica = replicas[index % 2] ?? fixture.as("ann");
          const lines = products.flatMap((productId, at) => {
            const quantity = quantities[at] ?? 0;
            return quantity === 0 ? [] : [{ productId, quantity }];
          });
          if (reversed) lines.reverse();
          if (lines.length === 0) return;
          const key = `${round}-${index}`;
          let reservationId: string;
          try {
            const reply = await replica.reserve({ idempotencyKey: key, lines });
            reservationId = reply.reservation?.reservationId ?? "";
          } catch (error) {
            expect(ConnectError.from(error).code).toBe(Code.FailedPrecondition);
            return;
          }
          if (next === "keep") count(held, lines);
          if (next === "release") await replica.release({ idempotencyKey: `${key}-r`, reservationId });
          if (next === "commit") {
            await replica.commit({ idempotencyKey: `${key}-c`, reservationId });
            count(gone, lines);
          }
          if (next === "both") {
            const ends = await Promise.allSettled([
              replica.release({ idempotencyKey: `${key}-r`, reservationId }),
              replica.commit({ idempotencyKey: `${key}-c`, reservationId }),
            ]);
            expect(ends.filter((end) => end.status === "fulfilled")).toHaveLength(1);
            if (ends[1].status === "fulfilled") count(gone, lines);
          }
        }),
      );
      for (const product of products) {
        const stock = await fixture.stockOf(product);
        expect(stock.held).toBe(held.get(product));
        expect(stock.available).toBe(12 - (held.get(product) ?? 0) - (gone.get(product) ?? 0));
        expect(stock.available).toBeGreaterThanOrEqual(0);
      }
    }),
    { numRuns: 12 },
  );
});

test("many buyers of the last few: exactly as many succeed as there are", async () => {
  await using fixture = await startFixture();
  await fixture.setStock("tea", 7);
  const ann = fixture.as("ann");
  const ends = await Promise.allSettled(
    Array.from({ length: 40 }, (_, n) =>
      ann.reserve({ idempotencyKey: `k${n}`, lines: [{ productId: "tea", quantity: 1 }] }),
    ),
  );
  expect(ends.filter((end) => end.status === "fulfilled")).toHaveLength(7);
  expect(await fixture.stockOf("tea")).toEqual({ available: 0, held: 7 });
});

test("a database that restarts in the middle gives UNAVAILABLE, then all goes on, and a retried key has one effect", async () => {
  await using server = await startTestPostgres();
  await using fixture = await startFixture(server);
  await fixture.setStock("tea", 5);
  const ann = fixture.as("ann");
  const request = { idempotencyKey: "r", lines: [{ productId: "tea", quantity: 1 }] };
  const first = await ann.reserve(request);
  await server.stop();
  expect((await errorOf(ann.reserve({ ...request, idempotencyKey: "s" }))).code).toBe(Code.Unavailable);
  expect((await errorOf(ann.reserve(request))).code).toBe(Code.Unavailable);
  await server.start();
  await fixture.database.untilUp(AbortSignal.timeout(20_000));
  expect(await ann.reserve(request)).toEqual(first);
  await ann.reserve({ ...request, idempotencyKey: "s" });
  expect(await fixture.stockOf("tea")).toEqual({ available: 3, held: 2 });
});
