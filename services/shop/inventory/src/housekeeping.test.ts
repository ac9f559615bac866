import { silentLogger, systemClock } from "@weft/foundation";
import { column, createDatabase, createDataKey, createIdempotency, migrate } from "@weft/store";
import { startTestDatabase } from "@weft/store/testing";
import { expect, test } from "vitest";
import { keepHouse, releaseLapsed } from "./housekeeping.js";
import { migrations } from "./migrations.js";
import { createInventoryStore } from "./store.js";

const day = 86_400_000;

async function startFixture() {
  const home = await startTestDatabase();
  const database = createDatabase({ url: home.url });
  await migrate(database, migrations);
  const store = createInventoryStore(database);
  const idempotency = createIdempotency({ database, dataKey: createDataKey(new Uint8Array(32)) });
  const parts = {
    database,
    store,
    idempotency,
    clock: systemClock,
    logger: silentLogger,
    holdMs: 7 * day,
    tombstonesMs: 30 * day,
  };
  await database.query("INSERT INTO stock (product_id, available) VALUES ('tea', 10)");
  const hold = (reserveKey: string, productId = "tea"): Promise<string> =>
    database.transaction(async (tx) => {
      await store.takeKey(tx, "ann", reserveKey);
      await store.lockStock(tx, [productId]);
      const lines = [{ productId, quantity: 2 }];
      return (await store.hold(tx, { principal: "ann", reserveKey, lines })).reservationId;
    });
  const stock = async (): Promise<readonly number[]> => {
    const [tea] = await store.stockOf(["tea"], {});
    return [tea?.available ?? -1, tea?.held ?? -1];
  };
  return {
    ...parts,
    parts,
    hold,
    stock,
    async [Symbol.asyncDispose]() {
      await database[Symbol.asyncDispose]();
      await home[Symbol.asyncDispose]();
    },
  };
}

test("stock that was held for an order that vanished can be had again after its time, once; what is younger or committed stays", async () => {
  await using fixture = await startFixture();
  const { database, parts, store, hold } = fixture;
  const old = [await hold("a"), await hold("b")];
  const committed = await hold("c");
  const young = await hold("d");
  await database.transaction(async (tx) => {
    const reservation = await store.lockReservation(tx, "ann", { t: "id", reservationId: committed });
    if (reservation !== undefined) await store.end(tx, reservation, "committed");
  });
  expect(await fixture.stock()).toEqual([2, 6]);
  await database.query("UPDATE reservations SET create_time = now() - interval '8 days' WHERE reservation_id <> $1", [
    young,
  ]);
  const { signal } = new AbortController();
  const counts = await Promise.all([releaseLapsed(parts, signal), releaseLapsed(parts, signal)]);
  expect(counts[0] + counts[1]).toBe(2);
  expect(await fixture.stock()).toEqual([6, 2]);
  for (const reservationId of old)
    expect(await store.find("ann", { t: "id", reservationId }, {})).toMatchObject({ state: "released" });
  expect(await releaseLapsed(parts, signal)).toBe(0);
});

test("what lapses together takes its products in the order in which they are reserved: neither waits for the other for ever", async () => {
  await using fixture = await startFixture();
  const { database, parts, store, hold } = fixture;
  await database.query("INSERT INTO stock (product_id, available) VALUES ('a-cup', 10)");
  for (const productId of ["tea", "a-cup"]) await hold(productId, productId);
  await database.query("UPDATE reservations SET create_time = create_time - interval '8 days'");
  const { signal } = new AbortController();
  const lapsing = await database.transaction(async (tx) => {
    await store.lockStock(tx, ["a-cup"]);
    const lapsing = releaseLapsed(parts, signal);
    const waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    await expect.poll(async () => (await database.query(waiting)).length, { timeout: 20_000 }).toBe(1);
    await tx.query("SELECT 1 FROM stock WHERE product_id = 'tea' FOR UPDATE NOWAIT");
    return [lapsing];
  });
  expect(await Promise.all(lapsing)).toEqual([2]);
});

test("a key that was released before it was used is forgotten after its time; the key of a reservation is not", async () => {
  await using fixture = await startFixture();
  const { database, parts, store, hold } = fixture;
  await hold("used");
  await database.transaction((tx) => store.forbidKey(tx, "ann", "old"));
  await database.query("UPDATE reserve_keys SET create_time = now() - interval '31 days'");
  await database.transaction((tx) => store.forbidKey(tx, "ann", "new"));
  const stop = new AbortController();
  const working = keepHouse({ ...parts, everyMs: 10 }, stop.signal);
  const keys = async (): Promise<readonly string[]> => {
    const rows = await database.query("SELECT reserve_key FROM reserve_keys ORDER BY reserve_key");
    return rows.map((row) => column.text(row, "reserve_key"));
  };
  await expect.poll(keys, { timeout: 20_000 }).toEqual(["new", "used"]);
  stop.abort();
  await working;
});
