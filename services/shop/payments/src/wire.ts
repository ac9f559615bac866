import type { Chassis } from "@weft/chassis";
import { PaymentService } from "@weft/contracts/shop/payments/v1";
import { createDatabase, createDataKey, createIdempotency, migrateWhenUp, whyNotUp } from "@weft/store";
import type { PaymentsConfig } from "./config.js";
import { createPaymentDesk } from "./desk.js";
import { createHandlers } from "./handlers.js";
import { migrations } from "./migrations.js";
import { createSimulator } from "./provider/simulator/simulator.js";
import { createSettler } from "./settler.js";
import { createPaymentStore } from "./store.js";

/** Connects the payments' parts: database → store, provider → desk → handlers → server; the provider's notices and the settler → desk. */
export async function wire(chassis: Chassis<PaymentsConfig>): Promise<void> {
  const { config, scope, logger, clock, readiness } = chassis;
  const url = config.DATABASE_URL.reveal();
  const database = scope.use(createDatabase({ url, applicationName: "payments", logger, clock }));
  readiness.follow("database", database.state, whyNotUp);
  // The mesh is not called from here; it carries the server half.
  await chassis.mesh();
  await migrateWhenUp(database, migrations, { signal: scope.signal, logger });
  const dataKey = createDataKey(Buffer.from(config.WEFT_DATA_KEY.reveal(), "base64"));
  const idempotency = createIdempotency({ database, dataKey, logger, clock });
  scope.spawn((signal) => idempotency.keepPruned(signal));
  const provider = createSimulator({
    database: scope.use(
      createDatabase({ url, applicationName: "payment-simulator", maxConnections: 5, logger, clock }),
    ),
    scope,
    lateAfterMs: config.SIMULATOR_LATE_AFTER,
    clock,
  });
  const store = createPaymentStore(database);
  const desk = createPaymentDesk({
    database,
    store,
    provider,
    providerTimeoutMs: config.PROVIDER_TIMEOUT,
    clock,
    logger,
  });
  const notices = provider.onNotice(({ chargeKey, answer }) =>
    scope.spawn(async (signal) => {
      await desk.record(chargeKey, answer, { signal }).catch((error: unknown) => {
        // Nothing is lost: whoever asks for the payment has the provider asked.
        if (!signal.aborted) logger.warn("a notice of the payment provider was not recorded", { error });
      });
    }),
  );
  scope.defer(() => notices[Symbol.dispose]());
  const settler = createSettler({
    store,
    desk,
    clock,
    logger,
    everyMs: config.SETTLE_EVERY,
    alarmAfterMs: config.SETTLE_ALARM_AFTER,
    abandonAfterMs: config.ABANDON_AFTER,
    tombstonesMs: config.TOMBSTONE_RETENTION,
  });
  scope.spawn((signal) => settler.work(signal));
  const handlers = createHandlers({ database, store, desk, provider, idempotency });
  await chassis.serve((router) => router.service(PaymentService, handlers));
}
