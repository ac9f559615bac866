import { Code } from "@connectrpc/connect";
import { PaymentState, RefundState, RefusalReason } from "@weft/contracts/shop/payments/v1";
import { expect, test } from "vitest";
import { errorOf, euros, type Fixture, refusalOf, startFixture } from "./testing/fixture.js";

const minute = 60_000;

async function authorized(fixture: Fixture, key: string): Promise<void> {
  const token = await fixture.card("approve");
  await fixture.as("ann").authorize({ idempotencyKey: key, token, amount: euros(1_000n), reference: "" });
}

async function stateOf(fixture: Fixture, authorizeKey: string): Promise<string | undefined> {
  const [row] = await fixture.database.query(
    "SELECT state FROM payments JOIN payment_keys USING (payment_id) WHERE authorize_key = $1",
    [authorizeKey],
  );
  return row === undefined ? undefined : String(row["state"]);
}

test("a capture whose process died before the provider was asked is carried on, once", async () => {
  await using fixture = await startFixture();
  await authorized(fixture, "a");
  await fixture.database.query(
    "UPDATE payments SET state = 'capturing', capture_key = 'c', capture_amount = 700, open_time = now(), settle_time = now() + interval '30 seconds'",
  );
  expect(await fixture.settle(0)).toBe(0);
  expect(await fixture.settle(minute)).toBe(1);
  expect(await stateOf(fixture, "a")).toBe("captured");
  expect(await fixture.audit()).toEqual({ captured: 700n, refunded: 0n, held: 0n });
  // Whoever asked for it finds it done.
  const ann = fixture.as("ann");
  const { payment } = await ann.capture({ idempotencyKey: "c", authorizeKey: "a", amount: euros(700n) });
  expect(payment?.captured?.minorUnits).toBe(700n);
  expect(await fixture.settle(60 * minute)).toBe(0);
});

test("a void whose process died before the provider was asked is carried on", async () => {
  await using fixture = await startFixture();
  await authorized(fixture, "a");
  await fixture.database.query(
    "UPDATE payments SET state = 'voiding', open_time = now(), settle_time = now() + interval '30 seconds'",
  );
  expect(await fixture.settle(minute)).toBe(1);
  expect(await stateOf(fixture, "a")).toBe("voided");
  expect(await fixture.audit()).toEqual({ captured: 0n, refunded: 0n, held: 0n });
});

test("an authorization that the provider answered after everybody had gone is learned", async () => {
  await using fixture = await startFixture({ timeoutMs: 100, lateAfterMs: 600 });
  const token = await fixture.card("late");
  const request = { idempotencyKey: "a", token, amount: euros(1_000n), reference: "" };
  expect((await errorOf(fixture.as("ann").authorize(request))).code).toBe(Code.DeadlineExceeded);
  // The notice of the provider is lost: whoever listened for it has died.
  await fixture.database.query("UPDATE simulator_charges SET decide_time = now()");
  await fixture.settle(minute);
  expect(await stateOf(fixture, "a")).toBe("authorized");
});

test("an authorization that the provider never decides on is asked about, and voided in the end: its key is good no more", async () => {
  await using fixture = await startFixture({ timeoutMs: 100 });
  const token = await fixture.card("time-out");
  const request = { idempotencyKey: "a", token, amount: euros(1_000n), reference: "" };
  expect((await errorOf(fixture.as("ann").authorize(request))).code).toBe(Code.DeadlineExceeded);
  expect(await fixture.settle(minute)).toBe(1);
  expect(await stateOf(fixture, "a")).toBe("pending");
  // It is not asked about again at once.
  expect(await fixture.settle(0)).toBe(0);
  expect(await fixture.alarms()).toBe(0);
  await fixture.settle(20 * minute);
  expect(await fixture.alarms()).toBe(1);
  expect(await stateOf(fixture, "a")).toBe("pending");
  await fixture.settle(60 * minute);
  expect(await stateOf(fixture, "a")).toBe("voided");
  expect(await fixture.alarms()).toBe(0);
  expect(await refusalOf(fixture.as("ann").authorize(request))).toBe(RefusalReason.UNDONE);
  expect(await fixture.audit()).toEqual({ captured: 0n, refunded: 0n, held: 0n });
});

test("a challenge that is never answered is voided in the end", async () => {
  await using fixture = await startFixture();
  const token = await fixture.card("challenge");
  const request = { idempotencyKey: "a", token, amount: euros(1_000n), reference: "" };
  expect(await refusalOf(fixture.as("ann").authorize(request))).toBe(RefusalReason.CHALLENGE_REQUIRED);
  const { payment } = await fixture.as("ann").getPayment({ authorizeKey: "a" });
  expect(payment).toMatchObject({
    state: PaymentState.CHALLENGE_REQUIRED,
    challengePrompt: expect.stringContaining("Is it you"),
  });
  await fixture.settle(minute);
  expect(await stateOf(fixture, "a")).toBe("challenge");
  await fixture.settle(60 * minute);
  expect(await stateOf(fixture, "a")).toBe("voided");
});

test("a refund whose process died before the provider was asked is given back, once", async () => {
  await using fixture = await startFixture();
  const ann = fixture.as("ann");
  await authorized(fixture, "a");
  await ann.capture({ idempotencyKey: "c", authorizeKey: "a" });
  await fixture.database.query("UPDATE payments SET refunding = 300");
  await fixture.database.query(
    "INSERT INTO refunds (refund_id, principal, refund_key, payment_id, amount) SELECT gen_random_uuid(), 'ann', 'r', payment_id, 300 FROM payments",
  );
  expect(await fixture.settle(minute)).toBe(1);
  expect((await ann.getRefund({ refundKey: "r" })).refund?.state).toBe(RefundState.DONE);
  expect(await fixture.audit()).toEqual({ captured: 1_000n, refunded: 300n, held: 0n });
});

test("a provider that is away leaves the deed open, to be asked about later", async () => {
  await using fixture = await startFixture();
  await authorized(fixture, "a");
  await fixture.database.query(
    "UPDATE payments SET state = 'voiding', open_time = now(), settle_time = now() + interval '30 seconds'",
  );
  await fixture.database.query("ALTER TABLE simulator_charges RENAME TO away");
  expect(await fixture.settle(minute)).toBe(1);
  expect(await stateOf(fixture, "a")).toBe("voiding");
  await fixture.database.query("ALTER TABLE away RENAME TO simulator_charges");
  expect(await fixture.settle(2 * minute)).toBe(1);
  expect(await stateOf(fixture, "a")).toBe("voided");
});

test("a key that was undone before it was used stays forbidden for its time, and is forgotten then", async () => {
  await using fixture = await startFixture();
  const ann = fixture.as("ann");
  await ann.void({ idempotencyKey: "v", authorizeKey: "never-used" });
  await authorized(fixture, "a");
  const keys = async (): Promise<number> => (await fixture.database.query("SELECT 1 FROM payment_keys")).length;
  const age = (days: number) =>
    fixture.database.query(`UPDATE payment_keys SET create_time = now() - interval '${days} days'`);
  await age(29);
  await fixture.prune();
  expect(await keys()).toBe(2);
  await age(31);
  await fixture.prune();
  // The key of a payment is kept with it.
  expect(await keys()).toBe(1);
  expect((await ann.getPayment({ authorizeKey: "a" })).payment?.state).toBe(PaymentState.AUTHORIZED);
});
