import { createClient } from "@connectrpc/connect";
import type { Chassis } from "@weft/chassis";
import { CatalogService } from "@weft/contracts/shop/catalog/v1";
import { InventoryService } from "@weft/contracts/shop/inventory/v1";
import { OrderService } from "@weft/contracts/shop/orders/v1";
import {
  createDatabase,
  createDataKey,
  createIdempotency,
  createNotifications,
  migrateWhenUp,
  whyNotUp,
} from "@weft/store";
import type { OrdersConfig } from "./config.js";
import { createHandlers } from "./handlers.js";
import { migrations } from "./migrations.js";
import { createOrderStore, orderChannel } from "./store.js";

/** Connects the orders' parts: database → idempotency, store and notifications; mesh → catalog and inventory → handlers → server. */
export async function wire(chassis: Chassis<OrdersConfig>): Promise<void> {
  const { config, scope, logger, clock, readiness } = chassis;
  const url = config.DATABASE_URL.reveal();
  // More connections than elsewhere: an order being placed keeps one while catalog and inventory answer.
  const database = scope.use(createDatabase({ url, applicationName: "orders", maxConnections: 20, logger, clock }));
  readiness.follow("database", database.state, whyNotUp);
  const mesh = await chassis.mesh();
  await migrateWhenUp(database, migrations, { signal: scope.signal, logger });
  const dataKey = createDataKey(Buffer.from(config.WEFT_DATA_KEY.reveal(), "base64"));
  const idempotency = createIdempotency({ database, dataKey, logger, clock });
  scope.spawn((signal) => idempotency.keepPruned(signal));
  const handlers = createHandlers({
    store: createOrderStore(database),
    idempotency,
    notifications: scope.use(createNotifications({ url, channel: orderChannel, logger, clock })),
    catalog: createClient(CatalogService, mesh.to("catalog")),
    inventory: createClient(InventoryService, mesh.to("inventory")),
    logger,
  });
  await chassis.serve((router) => router.service(OrderService, handlers));
}
