import type { Chassis } from "@weft/chassis";
import { ShippingService } from "@weft/contracts/shop/shipping/v1";
import { createDatabase, createDataKey, createIdempotency, migrateWhenUp, whyNotUp } from "@weft/store";
import { playCarrier } from "./carrier.js";
import type { ShippingConfig } from "./config.js";
import { createHandlers } from "./handlers.js";
import { migrations } from "./migrations.js";
import { createLabelStore } from "./store.js";

/** Connects the parts of shipping: database → idempotency and store → handlers → server. */
export async function wire(chassis: Chassis<ShippingConfig>): Promise<void> {
  const { config, scope, logger, clock, readiness } = chassis;
  const database = scope.use(
    createDatabase({ url: config.DATABASE_URL.reveal(), applicationName: "shipping", logger, clock }),
  );
  readiness.follow("database", database.state, whyNotUp);
  // The mesh is not called from here; it carries the server half.
  await chassis.mesh();
  await migrateWhenUp(database, migrations, { signal: scope.signal, logger });
  const dataKey = createDataKey(Buffer.from(config.WEFT_DATA_KEY.reveal(), "base64"));
  const idempotency = createIdempotency({ database, dataKey, logger, clock });
  scope.spawn((signal) => idempotency.keepPruned(signal));
  const store = createLabelStore(database);
  const { CARRIER_PICKUP_AFTER: pickupAfterMs, TOMBSTONE_RETENTION: tombstonesMs } = config;
  scope.spawn((signal) => playCarrier({ store, clock, logger, pickupAfterMs, tombstonesMs }, signal));
  const handlers = createHandlers({ store, idempotency });
  await chassis.serve((router) => router.service(ShippingService, handlers));
}
