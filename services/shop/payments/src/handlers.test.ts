import { Code } from "@connectrpc/connect";
import { PaymentState, RefundState, RefusalReason } from "@weft/contracts/shop/payments/v1";
import { eventually } from "@weft/foundation/testing";
import { startTestPostgres } from "@weft/store/testing";
import { expect, test } from "vitest";
import { challengeAnswer } from "./provider/simulator/test-cards.js";
import { errorOf, euros, type Fixture, refusalOf, startFixture } from "./testing/fixture.js";

const ceiling = { ceilingMs: 20_000 };

const order = async (fixture: Fixture, behaviour: Parameters<Fixture["card"]>[0] = "approve") => ({
  idempotencyKey: "a",
  token: await fixture.card(behaviour),
  amount: euros(1_000n),
  reference: "order-1",
});

test("money is held, taken in part while the rest is released, and given back in parts", async () => {
  await using fixture = await startFixture();
  const ann = fixture.as("ann");
  const { payment } = await ann.authorize(await order(fixture));
  expect(payment).toMatchObject({ state: PaymentState.AUTHORIZED, amount: euros(1_000n), reference: "order-1" });
  const paymentId = payment?.paymentId ?? "";
  expect(await fixture.audit()).toEqual({ captured: 0n, refunded: 0n, held: 1_000n });
  const captured = await ann.capture({ idempotencyKey: "c", paymentId, amount: euros(800n) });
  expect(captured.payment).toMatchObject({ state: PaymentState.CAPTURED, captured: euros(800n) });
  const part = await ann.refund({ idempotencyKey: "r1", paymentId, amount: euros(300n) });
  expect(part.refund).toMatchObject({ state: RefundState.DONE, amount: euros(300n), paymentId });
  expect(await refusalOf(ann.refund({ idempotencyKey: "r2", paymentId, amount: euros(501n) }))).toBe(
    RefusalReason.TOO_MUCH,
  );
  const rest = await ann.refund({ idempotencyKey: "r3", paymentId });
  expect(rest).toMatchObject({ refund: { amount: euros(500n) }, payment: { refunded: euros(800n) } });
  expect((await ann.refund({ idempotencyKey: "r4", paymentId })).refund).toBeUndefined();
  expect((await ann.getRefund({ refundKey: "r3" })).refund).toEqual(rest.refund);
  expect((await errorOf(ann.getRefund({ refundKey: "r4" }))).code).toBe(Code.NotFound);
  expect(await fixture.audit()).toEqual({ captured: 800n, refunded: 800n, held: 0n });
  expect((await ann.getLedgerTotals({})).totals).toMatchObject([
    {
      currency: "EUR",
      authorizedMinorUnits: 1_000n,
      capturedMinorUnits: 800n,
      releasedMinorUnits: 200n,
      refundedMinorUnits: 800n,
    },
  ]);
  await expect(fixture.database.query("UPDATE movements SET amount = 1")).rejects.toThrow();
  await expect(fixture.database.query("DELETE FROM movements")).rejects.toThrow();
});

test("every published test card can be kept, and one that is good pays", async () => {
  await using fixture = await startFixture();
  const ann = fixture.as("ann");
  const { cards } = await ann.listTestCards({});
  expect(new Set(cards.map(({ behaviour }) => behaviour))).toContain("card-declined");
  for (const [n, { cardNumber }] of cards.entries())
    expect((await ann.tokenizeCard({ idempotencyKey: `card-${n}`, cardNumber })).token).not.toBe("");
  const cardNumber = cards.find(({ behaviour }) => behaviour === "approve")?.cardNumber ?? "";
  const { token } = await ann.tokenizeCard({ idempotencyKey: "good", cardNumber });
  const { payment } = await ann.authorize({ idempotencyKey: "a", token, amount: euros(1n), reference: "order-1" });
  expect(payment?.state).toBe(PaymentState.AUTHORIZED);
});

test("each request has one effect and one reply, however often it comes; another request under its key is refused", async () => {
  await using fixture = await startFixture();
  const authorize = await order(fixture);
  const many = <T>(work: (client: ReturnType<Fixture["as"]>) => Promise<T>): Promise<T[]> =>
    Promise.all(Array.from({ length: 20 }, (_, n) => work(fixture.as("ann", n % 2 === 0 ? 0 : 1))));
  const authorized = await many((client) => client.authorize(authorize));
  expect(new Set(authorized.map((reply) => reply.payment?.paymentId)).size).toBe(1);
  const captures = await many((client) => client.capture({ idempotencyKey: "c", authorizeKey: "a" }));
  const refunds = await many((client) =>
    client.refund({ idempotencyKey: "r", authorizeKey: "a", amount: euros(400n) }),
  );
  for (const replies of [authorized, captures, refunds]) for (const reply of replies) expect(reply).toEqual(replies[0]);
  expect(await fixture.audit()).toEqual({ captured: 1_000n, refunded: 400n, held: 0n });

  const ann = fixture.as("ann");
  // What came later does not change the reply to what came first.
  expect((await ann.authorize(authorize)).payment?.state).toBe(PaymentState.AUTHORIZED);
  const code = async (work: Promise<unknown>): Promise<Code> => (await errorOf(work)).code;
  expect(await code(ann.authorize({ ...authorize, amount: euros(2n) }))).toBe(Code.AlreadyExists);
  expect(await code(ann.capture({ idempotencyKey: "c", authorizeKey: "a", amount: euros(2n) }))).toBe(
    Code.AlreadyExists,
  );
  expect(await code(ann.refund({ idempotencyKey: "r", authorizeKey: "a", amount: euros(2n) }))).toBe(
    Code.AlreadyExists,
  );
  expect(await refusalOf(ann.capture({ idempotencyKey: "c2", authorizeKey: "a" }))).toBe(RefusalReason.CAPTURED);
  expect(await refusalOf(ann.void({ idempotencyKey: "v", authorizeKey: "a" }))).toBe(RefusalReason.CAPTURED);
  // A void's key used for another payment does nothing to that one.
  await ann.authorize({ ...authorize, idempotencyKey: "b" });
  await ann.void({ idempotencyKey: "w", authorizeKey: "nobody-used-it" });
  expect(await code(ann.void({ idempotencyKey: "w", authorizeKey: "b" }))).toBe(Code.AlreadyExists);
  expect((await ann.getPayment({ authorizeKey: "b" })).payment?.state).toBe(PaymentState.AUTHORIZED);
});

test.each(["void", "refund"] as const)(
  "a %s that comes before its payment forbids the key: the payment is refused",
  async (how) => {
    await using fixture = await startFixture();
    const ann = fixture.as("ann");
    const authorize = await order(fixture);
    expect((await errorOf(ann.getPayment({ authorizeKey: "a" }))).code).toBe(Code.NotFound);
    const undone = await ann[how]({ idempotencyKey: "v", authorizeKey: "a" });
    expect(undone.payment).toMatchObject({ paymentId: "", state: PaymentState.VOIDED });
    expect((await ann.getPayment({ authorizeKey: "a" })).payment?.state).toBe(PaymentState.VOIDED);
    expect(await refusalOf(ann.authorize(authorize))).toBe(RefusalReason.UNDONE);
    expect(await refusalOf(fixture.as("ann", 1).authorize(authorize))).toBe(RefusalReason.UNDONE);
    await ann[how]({ idempotencyKey: "v2", authorizeKey: "a" });
    expect(await fixture.database.query("SELECT 1 FROM movements")).toEqual([]);
    expect(await fixture.database.query("SELECT 1 FROM simulator_charges")).toEqual([]);
  },
);

test.each(["void", "refund"] as const)(
  "a %s releases what is held, once; nothing can be taken afterwards",
  async (how) => {
    await using fixture = await startFixture();
    const ann = fixture.as("ann");
    const authorize = await order(fixture);
    await ann.authorize(authorize);
    const replies = await Promise.all(
      ["v", "v", "w"].map((idempotencyKey) => ann[how]({ idempotencyKey, authorizeKey: "a" })),
    );
    for (const reply of replies) expect(reply.payment?.state).toBe(PaymentState.VOIDED);
    expect(await refusalOf(ann.capture({ idempotencyKey: "c", authorizeKey: "a" }))).toBe(RefusalReason.UNDONE);
    expect(await refusalOf(ann.authorize(authorize))).toBe(RefusalReason.UNDONE);
    expect(await refusalOf(ann.refund({ idempotencyKey: "r", authorizeKey: "a", amount: euros(1n) }))).toBe(
      RefusalReason.NOT_CAPTURED,
    );
    expect(await fixture.audit()).toEqual({ captured: 0n, refunded: 0n, held: 0n });
    expect((await ann.getLedgerTotals({})).totals[0]?.releasedMinorUnits).toBe(1_000n);
  },
);

test.each([
  ["card-declined", RefusalReason.CARD_DECLINED],
  ["insufficient-funds", RefusalReason.INSUFFICIENT_FUNDS],
] as const)(
  "a card that is declined (%s) is refused each time, holds nothing, and voiding it is fine",
  async (behaviour, reason) => {
    await using fixture = await startFixture();
    const ann = fixture.as("ann");
    const authorize = await order(fixture, behaviour);
    expect(await refusalOf(ann.authorize(authorize))).toBe(reason);
    expect(await refusalOf(ann.authorize(authorize))).toBe(reason);
    expect((await ann.getPayment({ authorizeKey: "a" })).payment).toMatchObject({
      state: PaymentState.DECLINED,
      declineReason: reason,
    });
    expect(await refusalOf(ann.capture({ idempotencyKey: "c", authorizeKey: "a" }))).toBe(RefusalReason.NOT_AUTHORIZED);
    expect((await ann.void({ idempotencyKey: "v", authorizeKey: "a" })).payment?.state).toBe(PaymentState.DECLINED);
    expect(await fixture.audit()).toEqual({ captured: 0n, refunded: 0n, held: 0n });
  },
);

test("a card whose bank asks first is refused until the answer is right; a wrong answer declines it", async () => {
  await using fixture = await startFixture();
  const ann = fixture.as("ann");
  const authorize = await order(fixture, "challenge");
  expect(await refusalOf(ann.authorize(authorize))).toBe(RefusalReason.CHALLENGE_REQUIRED);
  expect((await ann.getPayment({ authorizeKey: "a" })).payment?.state).toBe(PaymentState.CHALLENGE_REQUIRED);
  const answered = await ann.answerChallenge({ idempotencyKey: "q", authorizeKey: "a", answer: challengeAnswer });
  expect(answered.payment?.state).toBe(PaymentState.AUTHORIZED);
  expect((await ann.authorize(authorize)).payment?.state).toBe(PaymentState.AUTHORIZED);

  const other = { ...authorize, idempotencyKey: "b" };
  expect(await refusalOf(ann.authorize(other))).toBe(RefusalReason.CHALLENGE_REQUIRED);
  const wrong = { idempotencyKey: "q2", authorizeKey: "b", answer: "let me in" };
  expect(await refusalOf(ann.answerChallenge(wrong))).toBe(RefusalReason.CHALLENGE_FAILED);
  expect(await refusalOf(ann.authorize(other))).toBe(RefusalReason.CHALLENGE_FAILED);
  expect(await fixture.audit()).toEqual({ captured: 0n, refunded: 0n, held: 1_000n });
});

test("a provider that never answers leaves the outcome unknown; voided, it comes to nothing", async () => {
  await using fixture = await startFixture({ timeoutMs: 150 });
  const ann = fixture.as("ann");
  const authorize = await order(fixture, "time-out");
  expect((await errorOf(ann.authorize(authorize))).code).toBe(Code.DeadlineExceeded);
  expect((await errorOf(ann.authorize(authorize))).code).toBe(Code.DeadlineExceeded);
  expect((await ann.getPayment({ authorizeKey: "a" })).payment?.state).toBe(PaymentState.PENDING);
  expect((await errorOf(ann.capture({ idempotencyKey: "c", authorizeKey: "a" }))).code).toBe(Code.Aborted);
  expect((await ann.void({ idempotencyKey: "v", authorizeKey: "a" })).payment?.state).toBe(PaymentState.VOIDED);
  expect(await refusalOf(ann.authorize(authorize))).toBe(RefusalReason.UNDONE);
  expect(await fixture.audit()).toEqual({ captured: 0n, refunded: 0n, held: 0n });
});

test("an answer that comes late is found by asking, or comes by itself; the same request goes on from it", async () => {
  await using fixture = await startFixture({ timeoutMs: 500, lateAfterMs: 2_000 });
  const ann = fixture.as("ann");
  const authorize = await order(fixture, "late");
  expect((await errorOf(ann.authorize(authorize))).code).toBe(Code.DeadlineExceeded);
  expect((await ann.getPayment({ authorizeKey: "a" })).payment?.state).toBe(PaymentState.PENDING);
  await eventually(
    async () => (await fixture.database.query("SELECT 1 FROM payments WHERE state = 'authorized'")).length === 1,
    ceiling,
  );
  expect((await ann.authorize(authorize)).payment?.state).toBe(PaymentState.AUTHORIZED);
  expect(await fixture.audit()).toEqual({ captured: 0n, refunded: 0n, held: 1_000n });
});

test("a late success of a payment that was given up is released, and counted once", async () => {
  await using fixture = await startFixture({ timeoutMs: 500, lateAfterMs: 1_500 });
  const ann = fixture.as("ann");
  const authorize = await order(fixture, "late");
  // One is voided before the provider decides, the other after.
  for (const idempotencyKey of ["a", "b"])
    expect((await errorOf(ann.authorize({ ...authorize, idempotencyKey }))).code).toBe(Code.DeadlineExceeded);
  await ann.void({ idempotencyKey: "v", authorizeKey: "a" });
  await eventually(
    async () => (await ann.getPayment({ authorizeKey: "b" })).payment?.state === PaymentState.AUTHORIZED,
    ceiling,
  );
  await ann.void({ idempotencyKey: "w", authorizeKey: "b" });
  for (const authorizeKey of ["a", "b"])
    expect((await ann.getPayment({ authorizeKey })).payment?.state).toBe(PaymentState.VOIDED);
  expect(await fixture.audit()).toEqual({ captured: 0n, refunded: 0n, held: 0n });
});

test("an answer that comes twice holds the money once", async () => {
  await using fixture = await startFixture();
  const ann = fixture.as("ann");
  let notices = 0;
  fixture.provider.onNotice(() => void notices++);
  await ann.authorize(await order(fixture, "twice"));
  await eventually(() => notices === 1, ceiling);
  await ann.capture({ idempotencyKey: "c", authorizeKey: "a" });
  const [{ count } = {}] = await fixture.database.query(
    "SELECT count(*)::int AS count FROM movements WHERE kind = 'authorize'",
  );
  expect(count).toBe(1);
  expect(await fixture.audit()).toEqual({ captured: 1_000n, refunded: 0n, held: 0n });
});

test("a card and its payments belong to their owner; to everyone else they do not exist", async () => {
  await using fixture = await startFixture();
  const authorize = await order(fixture);
  const { payment } = await fixture.as("ann").authorize(authorize);
  const bob = fixture.as("bob");
  const paymentId = payment?.paymentId ?? "";
  const attempts = [
    bob.authorize({ ...authorize, idempotencyKey: "x" }),
    bob.capture({ idempotencyKey: "c", paymentId }),
    bob.void({ idempotencyKey: "v", paymentId }),
    bob.refund({ idempotencyKey: "r", paymentId }),
    bob.getPayment({ paymentId }),
    bob.getPayment({ authorizeKey: "a" }),
  ];
  for (const error of await Promise.all(attempts.map(errorOf))) expect(error.code).toBe(Code.NotFound);
  expect(await fixture.audit()).toEqual({ captured: 0n, refunded: 0n, held: 1_000n });
});

test("what is wrong with a request is named; a wrong card number is not repeated", async () => {
  await using fixture = await startFixture();
  const ann = fixture.as("ann");
  const authorize = await order(fixture);
  const wrong = [
    ann.tokenizeCard({ idempotencyKey: "t", cardNumber: "1234567890123" }),
    ann.tokenizeCard({ idempotencyKey: "t", cardNumber: "12" }),
    ann.authorize({ ...authorize, token: "tok" }),
    ann.authorize({ ...authorize, amount: euros(0n) }),
    ann.authorize({ ...authorize, amount: euros(-1n) }),
    ann.authorize({ ...authorize, amount: { minorUnits: 1n, currency: "eur" } }),
    ann.authorize({ ...authorize, reference: "a b" }),
    ann.authorize({ ...authorize, idempotencyKey: "" }),
    ann.capture({ idempotencyKey: "c" }),
    ann.capture({ idempotencyKey: "c", paymentId: "1" }),
    ann.void({ idempotencyKey: "v", authorizeKey: "x".repeat(129) }),
    ann.getRefund({}),
  ];
  for (const error of await Promise.all(wrong.map(errorOf))) {
    expect([error.code, error.message]).toEqual([Code.InvalidArgument, expect.not.stringContaining("1234567890123")]);
  }
});

test("a database that restarts in the middle gives UNAVAILABLE; the same request then has its one effect", async () => {
  await using server = await startTestPostgres();
  await using fixture = await startFixture({ server });
  const ann = fixture.as("ann");
  const authorize = await order(fixture);
  await ann.authorize(authorize);
  await server.stop();
  const lost = [ann.authorize(authorize), ann.capture({ idempotencyKey: "c", authorizeKey: "a" })];
  for (const error of await Promise.all(lost.map(errorOf))) expect(error.code).toBe(Code.Unavailable);
  await server.start();
  await eventually(() => ann.getPayment({ authorizeKey: "a" }).then(Boolean, () => false), ceiling);
  await eventually(() => ann.capture({ idempotencyKey: "c", authorizeKey: "a" }).then(Boolean, () => false), {
    ceilingMs: 30_000,
  });
  expect(await fixture.audit()).toEqual({ captured: 1_000n, refunded: 0n, held: 0n });
});
