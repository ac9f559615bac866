import { type Client, Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { createRedactor } from "@weft/chassis";
import { withCallContext } from "@weft/chassis/testing";
import {
  LabelState,
  ShippingRefusalReason,
  ShippingRefusedDetailSchema,
  ShippingService,
  ShippingSpeed,
  ShippingZone,
} from "@weft/contracts/shop/shipping/v1";
import { silentLogger } from "@weft/foundation";
import { createDatabase, createDataKey, createIdempotency, type Database, migrate } from "@weft/store";
import { startTestDatabase } from "@weft/store/testing";
import { expect, test } from "vitest";
import { createHandlers } from "./handlers.js";
import { migrations } from "./migrations.js";
import { createLabelStore } from "./store.js";

type Shipping = Client<typeof ShippingService>;

interface Fixture extends AsyncDisposable {
  readonly database: Database;
  /** A client of the first replica, or of the second. */
  as(user: string, replica?: 0 | 1): Shipping;
}

async function startFixture(): Promise<Fixture> {
  const home = await startTestDatabase();
  const databases = [createDatabase({ url: home.url }), createDatabase({ url: home.url })] as const;
  await migrate(databases[0], migrations);
  return {
    database: databases[0],
    as(user, replica = 0) {
      const database = databases[replica];
      const idempotency = createIdempotency({ database, dataKey: createDataKey(new Uint8Array(32)) });
      const handlers = createHandlers({ store: createLabelStore(database), idempotency });
      const support = { logger: silentLogger, redactor: createRedactor(), currentUser: () => user };
      return createClient(
        ShippingService,
        createRouterTransport(({ service }) => {
          service(ShippingService, withCallContext(ShippingService, handlers, support));
        }),
      );
    },
    async [Symbol.asyncDispose]() {
      for (const database of databases) await database[Symbol.asyncDispose]();
      await home[Symbol.asyncDispose]();
    },
  };
}

const label = (idempotencyKey: string) => ({
  idempotencyKey,
  address: { recipient: "Ann", street: "Long Lane 1", city: "Lyon", postalCode: "69001", country: "FR" },
  weightGrams: 1_500n,
  speed: ShippingSpeed.EXPRESS,
  currency: "EUR",
  reference: "order-1",
});

async function errorOf(work: Promise<unknown>): Promise<ConnectError> {
  return work.then(
    () => Promise.reject(new Error("it was not refused")),
    (error: unknown) => ConnectError.from(error),
  );
}

async function refusalOf(work: Promise<unknown>): Promise<ShippingRefusalReason | ConnectError> {
  const error = await errorOf(work);
  return error.findDetails(ShippingRefusedDetailSchema)[0]?.reason ?? error;
}

const count = async ({ database }: Fixture): Promise<number> =>
  (await database.query("SELECT 1 FROM labels WHERE state <> 'cancelled'")).length;

test("a label costs what was quoted, and goes its way", async () => {
  await using fixture = await startFixture();
  const ann = fixture.as("ann");
  const { zone, quotes } = await ann.getQuote({ country: "FR", weightGrams: 1_500n, currency: "EUR" });
  expect(zone).toBe(ShippingZone.NEAR);
  const { label: made } = await ann.createLabel(label("l"));
  expect(made).toMatchObject({
    state: LabelState.CREATED,
    zone: ShippingZone.NEAR,
    price: quotes.find((quote) => quote.speed === ShippingSpeed.EXPRESS)?.price,
    parcels: 1,
    reference: "order-1",
    trackingCode: expect.stringMatching(/^WF([A-Z]\d){8}$/),
    address: { city: "Lyon" },
  });
  const labelId = made?.labelId ?? "";
  expect((await ann.getLabel({ labelId })).label).toEqual(made);
  expect((await ann.getLabel({ labelKey: "l" })).label).toEqual(made);
  await ann.recordScan({ idempotencyKey: "s1", labelId, state: LabelState.HANDED_OVER });
  expect(await refusalOf(ann.cancelLabel({ idempotencyKey: "x", labelId }))).toBe(ShippingRefusalReason.SHIPPED);
  expect(await refusalOf(ann.cancelLabel({ idempotencyKey: "x", labelKey: "l" }))).toBe(ShippingRefusalReason.SHIPPED);
  await ann.recordScan({ idempotencyKey: "s2", labelKey: "l", state: LabelState.DELIVERED });
  await ann.recordScan({ idempotencyKey: "s3", labelId, state: LabelState.HANDED_OVER });
  expect((await ann.getLabel({ labelId })).label?.state).toBe(LabelState.DELIVERED);
});

test("the same request sent 30 times at once to two replicas is one label; another under its key is refused, also when the key was forgotten", async () => {
  await using fixture = await startFixture();
  const replies = await Promise.all(
    Array.from({ length: 30 }, (_, n) => fixture.as("ann", n % 2 === 0 ? 0 : 1).createLabel(label("l"))),
  );
  expect(new Set(replies.map((reply) => reply.label?.labelId)).size).toBe(1);
  expect(await count(fixture)).toBe(1);
  const ann = fixture.as("ann");
  expect((await errorOf(ann.createLabel({ ...label("l"), weightGrams: 1n }))).code).toBe(Code.AlreadyExists);
  await fixture.database.query("DELETE FROM weft_idempotency");
  expect((await ann.createLabel(label("l"))).label).toEqual(replies[0]?.label);
  await fixture.database.query("DELETE FROM weft_idempotency");
  expect((await errorOf(ann.createLabel({ ...label("l"), weightGrams: 1n }))).code).toBe(Code.AlreadyExists);
});

test("a cancellation that comes before its label forbids the key: the label is refused", async () => {
  await using fixture = await startFixture();
  const ann = fixture.as("ann");
  expect((await errorOf(ann.getLabel({ labelKey: "l" }))).code).toBe(Code.NotFound);
  const { label: cancelled } = await ann.cancelLabel({ idempotencyKey: "x", labelKey: "l" });
  expect(cancelled).toMatchObject({ labelId: "", state: LabelState.CANCELLED });
  expect((await ann.getLabel({ labelKey: "l" })).label?.state).toBe(LabelState.CANCELLED);
  expect(await refusalOf(ann.createLabel(label("l")))).toBe(ShippingRefusalReason.CANCELLED);
  await ann.cancelLabel({ idempotencyKey: "y", labelKey: "l" });
  expect(await count(fixture)).toBe(0);
  // Another caller's key of the same name is another key.
  await fixture.as("bob").createLabel(label("l"));
});

test("a cancelled label stays so: a copy of the request that made it is refused", async () => {
  await using fixture = await startFixture();
  const ann = fixture.as("ann");
  const { label: made } = await ann.createLabel(label("l"));
  await ann.cancelLabel({ idempotencyKey: "x", labelKey: "l" });
  await ann.cancelLabel({ idempotencyKey: "y", labelId: made?.labelId ?? "" });
  expect(await refusalOf(ann.createLabel(label("l")))).toBe(ShippingRefusalReason.CANCELLED);
  const scan = { idempotencyKey: "s", labelKey: "l", state: LabelState.HANDED_OVER };
  expect(await refusalOf(ann.recordScan(scan))).toBe(ShippingRefusalReason.CANCELLED);
});

test("a cancellation racing its label leaves none, whichever comes first; racing the carrier, one wins", async () => {
  await using fixture = await startFixture();
  await Promise.all(
    Array.from({ length: 40 }, async (_, n) => {
      const [one, other] = n % 2 === 0 ? [0 as const, 1 as const] : [1 as const, 0 as const];
      const ends = await Promise.allSettled([
        fixture.as("ann", one).createLabel(label(`l${n}`)),
        fixture.as("ann", other).cancelLabel({ idempotencyKey: `x${n}`, labelKey: `l${n}` }),
      ]);
      expect(ends[1].status).toBe("fulfilled");
    }),
  );
  expect(await count(fixture)).toBe(0);
  for (let n = 0; n < 20; n++) {
    const labelKey = `m${n}`;
    await fixture.as("ann").createLabel(label(labelKey));
    const [scan, cancel] = await Promise.allSettled([
      fixture.as("ann", 0).recordScan({ idempotencyKey: labelKey, labelKey, state: LabelState.HANDED_OVER }),
      fixture.as("ann", 1).cancelLabel({ idempotencyKey: labelKey, labelKey }),
    ]);
    expect([scan.status, cancel.status].sort()).toEqual(["fulfilled", "rejected"]);
  }
});

test("a label belongs to its caller; what is wrong with a request is named; what no service takes is refused", async () => {
  await using fixture = await startFixture();
  const ann = fixture.as("ann");
  const { label: made } = await ann.createLabel(label("l"));
  const bob = fixture.as("bob");
  const labelId = made?.labelId ?? "";
  for (const error of await Promise.all(
    [
      bob.getLabel({ labelId }),
      bob.getLabel({ labelKey: "l" }),
      bob.cancelLabel({ idempotencyKey: "x", labelId }),
      bob.recordScan({ idempotencyKey: "x", labelId, state: LabelState.DELIVERED }),
    ].map(errorOf),
  ))
    expect(error.code).toBe(Code.NotFound);
  for (const error of await Promise.all(
    [
      ann.getQuote({ country: "de", weightGrams: 1n, currency: "EUR" }),
      ann.createLabel({ ...label("n"), weightGrams: 0n }),
      ann.createLabel({ idempotencyKey: "n", weightGrams: 1n, currency: "EUR" }),
      ann.createLabel({ ...label("n"), reference: "a b" }),
      ann.cancelLabel({ idempotencyKey: "n", labelId, labelKey: "l" }),
      ann.recordScan({ idempotencyKey: "n", labelId, state: LabelState.CANCELLED }),
      ann.getLabel({ labelId: "1" }),
    ].map(errorOf),
  ))
    expect(error.code).toBe(Code.InvalidArgument);
  expect(await refusalOf(ann.createLabel({ ...label("n"), weightGrams: 90_000n }))).toBe(
    ShippingRefusalReason.NO_SERVICE,
  );
});
