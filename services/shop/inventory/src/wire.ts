import type { Chassis } from "@weft/chassis";
import { InventoryService } from "@weft/contracts/shop/inventory/v1";
import { createDatabase, createDataKey, createIdempotency, migrateWhenUp, whyNotUp } from "@weft/store";
import type { InventoryConfig } from "./config.js";
import { createHandlers } from "./handlers.js";
import { keepHouse } from "./housekeeping.js";
import { migrations } from "./migrations.js";
import { createInventoryStore } from "./store.js";

/** Connects the inventory's parts: database → idempotency and store → handlers → server. */
export async function wire(chassis: Chassis<InventoryConfig>): Promise<void> {
  const { config, scope, logger, clock, readiness } = chassis;
  const database = scope.use(
    createDatabase({ url: config.DATABASE_URL.reveal(), applicationName: "inventory", logger, clock }),
  );
  readiness.follow("database", database.state, whyNotUp);
  // The mesh is not called from here; it carries the server half.
  await chassis.mesh();
  await migrateWhenUp(database, migrations, { signal: scope.signal, logger });
  const dataKey = createDataKey(Buffer.from(config.WEFT_DATA_KEY.reveal(), "base64"));
  const idempotency = createIdempotency({ database, dataKey, logger, clock });
  scope.spawn((signal) => idempotency.keepPruned(signal));
  const store = createInventoryStore(database);
  const { HOLD_LAPSES_AFTER: holdMs, TOMBSTONE_RETENTION: tombstonesMs } = config;
  scope.spawn((signal) => keepHouse({ database, store, idempotency, clock, logger, holdMs, tombstonesMs }, signal));
  const handlers = createHandlers({ store, idempotency });
  await chassis.serve((router) => router.service(InventoryService, handlers));
}
