import { type Client, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { createRedactor } from "@weft/chassis";
import { withCallContext } from "@weft/chassis/testing";
import { PaymentRefusedDetailSchema, PaymentService, type RefusalReason } from "@weft/contracts/shop/payments/v1";
import { Scope, silentLogger, systemClock } from "@weft/foundation";
import { column, createDatabase, createDataKey, createIdempotency, type Database, migrate } from "@weft/store";
import { startTestDatabase, type TestPostgres } from "@weft/store/testing";
import { createPaymentDesk } from "../desk.js";
import { createHandlers } from "../handlers.js";
import { migrations } from "../migrations.js";
import type { PaymentProvider } from "../provider/provider.js";
import { createSimulator } from "../provider/simulator/simulator.js";
import { type Behaviour, testCards } from "../provider/simulator/test-cards.js";
import { createSettler } from "../settler.js";
import { createPaymentStore } from "../store.js";

export type Payments = Client<typeof PaymentService>;

/** Payments with two replicas on one database. */
export interface Fixture extends AsyncDisposable {
  readonly database: Database;
  readonly provider: PaymentProvider;
  /** A client of the first replica, or of the second. */
  as(user: string, replica?: 0 | 1): Payments;
  /** A token of a new card that behaves so. */
  card(behaviour: Behaviour, user?: string): Promise<string>;
  /** Settles what is open once, by both replicas at the same time, as if this much time had passed for it; gives how many deeds they took. */
  settle(passedMs: number): Promise<number>;
  /** Forgets old keys that were forbidden before they were used. */
  prune(): Promise<void>;
  /** How many kinds of deeds are open for longer than 15 minutes. */
  alarms(): Promise<number>;
  /** What the ledger, the payments and the provider say was taken and given back, when they agree; else it fails. */
  audit(): Promise<{ readonly captured: bigint; readonly refunded: bigint; readonly held: bigint }>;
}

export async function startFixture(
  options: { readonly server?: TestPostgres; readonly timeoutMs?: number; readonly lateAfterMs?: number } = {},
): Promise<Fixture> {
  const { server, timeoutMs = 5_000, lateAfterMs = 700 } = options;
  const home = await startTestDatabase(server === undefined ? {} : { server });
  const scope = new Scope();
  const open = (maxConnections = 10): Database => scope.use(createDatabase({ url: home.url, maxConnections }));
  const database = open();
  await migrate(database, migrations);
  const replicas = [0, 1].map(() => {
    const own = open();
    const provider = createSimulator({ database: open(5), scope, lateAfterMs });
    const store = createPaymentStore(own);
    const desk = createPaymentDesk({
      database: own,
      store,
      provider,
      providerTimeoutMs: timeoutMs,
      clock: systemClock,
      logger: silentLogger,
    });
    provider.onNotice(({ chargeKey, answer }) =>
      scope.spawn(async (signal) => void (await desk.record(chargeKey, answer, { signal }))),
    );
    const idempotency = createIdempotency({ database: own, dataKey: createDataKey(new Uint8Array(32)) });
    const settler = createSettler({
      store,
      desk,
      clock: systemClock,
      logger: silentLogger,
      everyMs: 5_000,
      alarmAfterMs: 900_000,
      abandonAfterMs: 3_600_000,
      tombstonesMs: 30 * 86_400_000,
    });
    return { settler, provider, handlers: createHandlers({ database: own, store, desk, provider, idempotency }) };
  });
  const [first, second] = replicas;
  if (first === undefined || second === undefined) throw new Error("fixture: two replicas");

  const as = (user: string, replica: 0 | 1 = 0): Payments => {
    const { handlers } = replica === 0 ? first : second;
    const support = { logger: silentLogger, redactor: createRedactor(), currentUser: () => user };
    return createClient(
      PaymentService,
      createRouterTransport(({ service }) => {
        service(PaymentService, withCallContext(PaymentService, handlers, support));
      }),
    );
  };

  return {
    database,
    provider: first.provider,
    as,
    async card(behaviour, user = "ann") {
      const cardNumber = testCards.find((card) => card.behaviour === behaviour)?.number ?? "";
      return (await as(user).tokenizeCard({ idempotencyKey: crypto.randomUUID(), cardNumber })).token;
    },
    async settle(passedMs) {
      const passed = `interval '${passedMs} milliseconds'`;
      await database.query(
        `UPDATE payments SET open_time = open_time - ${passed}, settle_time = settle_time - ${passed}`,
      );
      await database.query(`UPDATE refunds SET settle_time = settle_time - ${passed}`);
      const taken = await Promise.all(replicas.map(({ settler }) => settler.settleDue(scope.signal)));
      return taken.reduce((sum, count) => sum + count, 0);
    },
    prune: () => first.settler.prune(scope.signal),
    alarms: () => first.settler.observe(scope.signal),
    async audit() {
      const [row] = await database.query(`
        SELECT
          (SELECT coalesce(sum(captured), 0)::bigint FROM payments) AS captured,
          (SELECT coalesce(sum(refunded), 0)::bigint FROM payments) AS refunded,
          (SELECT coalesce(sum(held), 0)::bigint FROM payments) AS held,
          (SELECT coalesce(sum(amount), 0)::bigint FROM movements WHERE kind = 'capture') AS ledger_captured,
          (SELECT coalesce(sum(amount), 0)::bigint FROM movements WHERE kind = 'refund') AS ledger_refunded,
          (SELECT coalesce(sum(CASE WHEN to_account = 'hold' THEN amount WHEN from_account = 'hold' THEN -amount END), 0)::bigint
             FROM movements) AS ledger_held,
          (SELECT coalesce(sum(captured), 0)::bigint FROM simulator_charges) AS provider_captured,
          (SELECT coalesce(sum(amount), 0)::bigint FROM simulator_refunds) AS provider_refunded
      `);
      if (row === undefined) throw new Error("audit: no row");
      const sum = (name: string): bigint => column.bigint(row, name);
      for (const what of ["captured", "refunded"])
        for (const where of ["ledger", "provider"])
          if (sum(what) !== sum(`${where}_${what}`))
            throw new Error(`audit: ${what} ${sum(what)}, by the ${where} ${sum(`${where}_${what}`)}`);
      if (sum("held") !== sum("ledger_held")) throw new Error(`audit: held ${sum("held")}, ${sum("ledger_held")}`);
      return { captured: sum("captured"), refunded: sum("refunded"), held: sum("held") };
    },
    async [Symbol.asyncDispose]() {
      await scope[Symbol.asyncDispose]();
      await home[Symbol.asyncDispose]();
    },
  };
}

export const euros = (minorUnits: bigint) => ({ minorUnits, currency: "EUR" });

export async function errorOf(work: Promise<unknown>): Promise<ConnectError> {
  return work.then(
    () => Promise.reject(new Error("it was not refused")),
    (error: unknown) => ConnectError.from(error),
  );
}

/** The reason of a refusal; the error itself when it is none. */
export async function refusalOf(work: Promise<unknown>): Promise<RefusalReason | ConnectError> {
  const error = await errorOf(work);
  return error.findDetails(PaymentRefusedDetailSchema)[0]?.reason ?? error;
}
