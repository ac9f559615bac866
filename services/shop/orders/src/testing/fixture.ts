import { type Client, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { createRedactor } from "@weft/chassis";
import { withCallContext } from "@weft/chassis/testing";
import { OrderService } from "@weft/contracts/shop/orders/v1";
import { Scope, silentLogger, systemClock } from "@weft/foundation";
import { eventually } from "@weft/foundation/testing";
import { createSagas, type StepPolicy, sagaChannel } from "@weft/saga";
import {
  createDatabase,
  createDataKey,
  createIdempotency,
  createNotifications,
  type Database,
  migrate,
} from "@weft/store";
import { startTestDatabase, type TestPostgres } from "@weft/store/testing";
import { createHandlers } from "../handlers.js";
import { migrations } from "../migrations.js";
import { defineOrderSagas, knownDefinitions } from "../sagas/definitions.js";
import { followShipments } from "../shipments.js";
import { createOrderStore, orderChannel } from "../store.js";
import { cards, FakeShop } from "./fake-shop.js";

export type Orders = Client<typeof OrderService>;

/** One replica of the service, without a network. */
export interface Replica {
  as(user: string): Orders;
  /** Ends it as kill -9 does: nothing is given back. */
  kill(): Promise<void>;
}

export interface Fixture extends AsyncDisposable {
  readonly database: Database;
  readonly shop: FakeShop;
  startReplica(): Replica;
  /** Makes it time to look up every shipment that is followed. */
  lookNow(): Promise<void>;
  /** Waits until every saga has ended. */
  atRest(): Promise<void>;
}

/** Tests lose no time by waiting between attempts. */
const hasty: StepPolicy = {
  timeoutMs: 3_000,
  attempts: 4,
  backoff: { initialMs: 5, maxMs: 40, multiplier: 2, jitter: 0.2 },
};

export async function startFixture(
  options: { readonly server?: TestPostgres; readonly policy?: StepPolicy; readonly challengeMs?: number } = {},
): Promise<Fixture> {
  const home = await startTestDatabase(options.server === undefined ? {} : { server: options.server });
  const shop = new FakeShop();
  const database = createDatabase({ url: home.url });
  await migrate(database, migrations);
  const replicas: (() => Promise<void>)[] = [];

  const startReplica = (): Replica => {
    const scope = new Scope();
    const own = scope.use(createDatabase({ url: home.url }));
    const store = createOrderStore(own);
    const { challengeMs = 600_000 } = options;
    const orderSagas = defineOrderSagas({
      ...shop.participants,
      store,
      challengeMs,
      policy: { ...hasty, ...options.policy },
    });
    const listen = (channel: string) => scope.use(createNotifications({ url: home.url, channel }));
    const sagas = scope.use(
      createSagas({
        database: own,
        definitions: knownDefinitions(orderSagas),
        notifications: listen(sagaChannel),
        leaseMs: 1_000,
        pollMs: 200,
      }),
    );
    const working = new AbortController();
    scope.spawn(() => sagas.work(working.signal));
    const { shipping } = shop.participants;
    const followed = { store, shipping, clock: systemClock, logger: silentLogger, everyMs: 50 };
    scope.spawn(() => followShipments(followed, working.signal));
    const handlers = createHandlers({
      store,
      idempotency: createIdempotency({ database: own, dataKey: createDataKey(new Uint8Array(32)) }),
      notifications: listen(orderChannel),
      sagas,
      definitions: orderSagas,
      payments: shop.participants.payments,
      clock: systemClock,
      logger: silentLogger,
    });
    const stop = async (): Promise<void> => {
      working.abort();
      await scope[Symbol.asyncDispose]();
    };
    replicas.push(stop);
    return {
      as: (user) => {
        const support = { logger: silentLogger, redactor: createRedactor(), currentUser: () => user };
        return createClient(
          OrderService,
          createRouterTransport(({ service }) => {
            service(OrderService, withCallContext(OrderService, handlers, support));
          }),
        );
      },
      kill: async () => {
        // Its connections first: what it was about to write is never written.
        await own[Symbol.asyncDispose]();
        await stop();
      },
    };
  };

  return {
    database,
    shop,
    startReplica,
    async lookNow() {
      await database.query("UPDATE orders SET look_time = now() WHERE look_time IS NOT NULL");
    },
    async atRest() {
      await eventually(
        async () =>
          (await database.query("SELECT 1 FROM weft_sagas WHERE state NOT IN ('completed', 'compensated')")).length ===
          0,
        { ceilingMs: 60_000, everyMs: 50, what: "every saga ended" },
      );
    },
    async [Symbol.asyncDispose]() {
      for (const stop of replicas) await stop();
      await database[Symbol.asyncDispose]();
      await home[Symbol.asyncDispose]();
    },
  };
}

const delivery = {
  address: { recipient: "Ann", street: "Lane 1", city: "Berlin", postalCode: "10115", country: "DE" },
};

/** A request for some tea, by a good card unless said otherwise. */
export function order(
  idempotencyKey: string,
  { quantity = 2, productId = "tea", paymentToken = cards.good as string, country = "DE" } = {},
) {
  return {
    idempotencyKey,
    currency: "EUR",
    items: [{ productId, quantity }],
    paymentToken,
    delivery: { address: { ...delivery.address, country } },
  };
}

export async function errorOf(work: Promise<unknown>): Promise<ConnectError> {
  return work.then(
    () => Promise.reject(new Error("it was not refused")),
    (error: unknown) => ConnectError.from(error),
  );
}

/** Something that a test lets happen when it wants to. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}
