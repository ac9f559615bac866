import type { Chassis } from "@weft/chassis";
import { CatalogService } from "@weft/contracts/shop/catalog/v1";
import { createDatabase, migrateWhenUp, whyNotUp } from "@weft/store";
import type { CatalogConfig } from "./config.js";
import { createHandlers } from "./handlers.js";
import { migrations } from "./migrations.js";
import { createProductStore } from "./store.js";

/** Connects the catalog's parts: database → store → handlers → server. */
export async function wire(chassis: Chassis<CatalogConfig>): Promise<void> {
  const { config, scope, logger, clock, readiness } = chassis;
  const database = scope.use(
    createDatabase({ url: config.DATABASE_URL.reveal(), applicationName: "catalog", logger, clock }),
  );
  readiness.follow("database", database.state, whyNotUp);
  // The mesh is not called from here; it carries the server half.
  await chassis.mesh();
  await migrateWhenUp(database, migrations, { signal: scope.signal, logger });
  const handlers = createHandlers({ store: createProductStore(database) });
  await chassis.serve((router) => router.service(CatalogService, handlers));
}
