import { createClient } from "@connectrpc/connect";
import type { Chassis } from "@weft/chassis";
import { CartService } from "@weft/contracts/shop/cart/v1";
import { CatalogService } from "@weft/contracts/shop/catalog/v1";
import { createDatabase, createDataKey, createIdempotency, migrateWhenUp, whyNotUp } from "@weft/store";
import type { CartConfig } from "./config.js";
import { createHandlers } from "./handlers.js";
import { migrations } from "./migrations.js";
import { createCartStore } from "./store.js";

/** Connects the cart's parts: database → idempotency and store; mesh → catalog → handlers → server. */
export async function wire(chassis: Chassis<CartConfig>): Promise<void> {
  const { config, scope, logger, clock, readiness } = chassis;
  const database = scope.use(
    createDatabase({ url: config.DATABASE_URL.reveal(), applicationName: "cart", logger, clock }),
  );
  readiness.follow("database", database.state, whyNotUp);
  const mesh = await chassis.mesh();
  await migrateWhenUp(database, migrations, { signal: scope.signal, logger });
  const dataKey = createDataKey(Buffer.from(config.WEFT_DATA_KEY.reveal(), "base64"));
  const idempotency = createIdempotency({ database, dataKey, logger, clock });
  scope.spawn((signal) => idempotency.keepPruned(signal));
  const handlers = createHandlers({
    store: createCartStore(database),
    idempotency,
    catalog: createClient(CatalogService, mesh.to("catalog")),
    clock,
  });
  await chassis.serve((router) => router.service(CartService, handlers));
}
