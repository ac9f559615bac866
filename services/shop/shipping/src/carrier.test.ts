import { silentLogger, systemClock } from "@weft/foundation";
import { column, createDatabase, migrate } from "@weft/store";
import { startTestDatabase } from "@weft/store/testing";
import { expect, test } from "vitest";
import { playCarrier } from "./carrier.js";
import { quotesOf, zoneOf } from "./domain.js";
import { migrations } from "./migrations.js";
import { createLabelStore } from "./store.js";

const address = { recipient: "Ann", street: "Lane 1", city: "Berlin", postalCode: "10115", country: "DE" };
const shipment = { address, weightGrams: 500n, speed: "standard", currency: "EUR", reference: "" } as const;

test("the carrier picks up what was labelled some time ago, not what is new or cancelled, and forgets old forbidden keys", async () => {
  await using home = await startTestDatabase();
  await using database = createDatabase({ url: home.url });
  await migrate(database, migrations);
  const store = createLabelStore(database);
  const [quote] = quotesOf({ ...shipment, country: "DE" });
  if (quote === undefined) throw new Error("no quote");
  const make = (labelKey: string): Promise<string> =>
    database.transaction(async (tx) => {
      const taken = await store.takeKey(tx, "ann", labelKey);
      if (taken.t !== "new") throw new Error(taken.t);
      const { labelId } = taken;
      await store.make(tx, { labelId, principal: "ann", labelKey, shipment, zone: zoneOf("DE"), quote });
      return labelId;
    });
  for (const key of ["a", "b"]) await make(key);
  const cancelled = await make("cancelled");
  await database.transaction((tx) => store.move(tx, cancelled, "cancelled"));
  await database.transaction((tx) => store.forbidKey(tx, "ann", "old"));
  await database.query("UPDATE labels SET create_time = now() - interval '2 hours'");
  await database.query("UPDATE label_keys SET create_time = now() - interval '31 days'");
  await make("new");
  const stop = new AbortController();
  const parts = { store, clock: systemClock, logger: silentLogger, tombstonesMs: 30 * 86_400_000, everyMs: 10 };
  // Two replicas.
  const working = [1, 2].map(() => playCarrier({ ...parts, pickupAfterMs: 3_600_000 }, stop.signal));
  const states = async (): Promise<readonly string[]> => {
    const rows = await database.query("SELECT label_key, state FROM labels ORDER BY label_key");
    return rows.map((row) => `${column.text(row, "label_key")} ${column.text(row, "state")}`);
  };
  await expect
    .poll(states, { timeout: 20_000 })
    .toEqual(["a handed-over", "b handed-over", "cancelled cancelled", "new created"]);
  await expect.poll(async () => (await database.query("SELECT 1 FROM label_keys")).length, { timeout: 20_000 }).toBe(4);
  stop.abort();
  await Promise.all(working);
});
