import { createClient } from "@connectrpc/connect";
import type { Chassis } from "@weft/chassis";
import { CartService } from "@weft/contracts/shop/cart/v1";
import { CatalogService } from "@weft/contracts/shop/catalog/v1";
import { InventoryService } from "@weft/contracts/shop/inventory/v1";
import { OrderService } from "@weft/contracts/shop/orders/v1";
import { PaymentService } from "@weft/contracts/shop/payments/v1";
import { ShippingService } from "@weft/contracts/shop/shipping/v1";
import { SagaAdminService } from "@weft/contracts/weft/saga/v1";
import { createSagaAdmin, createSagaAdminHandlers, createSagas, sagaChannel } from "@weft/saga";
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
import { defineOrderSagas, knownDefinitions } from "./sagas/definitions.js";
import { followShipments } from "./shipments.js";
import { createOrderStore, orderChannel } from "./store.js";

/** Connects the orders' parts: database → idempotency, store and sagas; mesh → participants → sagas → handlers → server. */
export async function wire(chassis: Chassis<OrdersConfig>): Promise<void> {
  const { config, scope, logger, clock, readiness, redactor } = chassis;
  const url = config.DATABASE_URL.reveal();
  const database = scope.use(createDatabase({ url, applicationName: "orders", maxConnections: 20, logger, clock }));
  readiness.follow("database", database.state, whyNotUp);
  const mesh = await chassis.mesh();
  await migrateWhenUp(database, migrations, { signal: scope.signal, logger });
  const dataKey = createDataKey(Buffer.from(config.WEFT_DATA_KEY.reveal(), "base64"));
  const idempotency = createIdempotency({ database, dataKey, logger, clock });
  scope.spawn((signal) => idempotency.keepPruned(signal));
  const store = createOrderStore(database);
  const payments = createClient(PaymentService, mesh.to("payments"));
  const shipping = createClient(ShippingService, mesh.to("shipping"));
  const orderSagas = defineOrderSagas({
    store,
    clock,
    challengeMs: config.CHALLENGE_TIMEOUT,
    cart: createClient(CartService, mesh.to("cart")),
    catalog: createClient(CatalogService, mesh.to("catalog")),
    inventory: createClient(InventoryService, mesh.to("inventory")),
    payments,
    shipping,
  });
  const definitions = knownDefinitions(orderSagas);
  const notificationsOf = (channel: string) => scope.use(createNotifications({ url, channel, logger, clock }));
  const sagas = scope.use(
    createSagas({
      database,
      definitions,
      notifications: notificationsOf(sagaChannel),
      redact: (text) => redactor.text(text),
      logger: logger.child({ component: "sagas" }),
      clock,
    }),
  );
  scope.spawn((signal) => sagas.work(signal));
  scope.spawn((signal) => followShipments({ store, shipping, clock, logger }, signal));
  const notifications = notificationsOf(orderChannel);
  const handlers = createHandlers({
    store,
    idempotency,
    notifications,
    sagas,
    definitions: orderSagas,
    payments,
    clock,
    logger,
  });
  const admin = createSagaAdminHandlers({ admin: createSagaAdmin({ database, definitions }), idempotency });
  await chassis.serve((router) => router.service(OrderService, handlers).service(SagaAdminService, admin));
}
