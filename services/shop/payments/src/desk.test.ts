import { Code } from "@connectrpc/connect";
import { PaymentState, RefusalReason } from "@weft/contracts/shop/payments/v1";
import fc from "fast-check";
import { expect, test } from "vitest";
import { errorOf, euros, refusalOf, startFixture } from "./testing/fixture.js";

/** What two replicas are told about one payment at the same time. */
const deed = fc.oneof(
  fc.record({ t: fc.constant("capture" as const), amount: fc.option(fc.bigInt({ min: 1n, max: 1_500n })) }),
  fc.record({ t: fc.constant("refund" as const), amount: fc.option(fc.bigInt({ min: 1n, max: 700n })) }),
  fc.record({ t: fc.constant("void" as const) }),
  fc.record({ t: fc.constant("look" as const) }),
);

test("whatever is asked for at the same time, no more is captured than held, no more given back than captured, and all three books agree", async () => {
  await using fixture = await startFixture();
  const token = await fixture.card("approve");
  let round = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(deed, { minLength: 3, maxLength: 14 }), fc.boolean(), async (deeds, capturesFirst) => {
      const authorizeKey = `a${++round}`;
      const authorize = { idempotencyKey: authorizeKey, token, amount: euros(1_000n), reference: "" };
      const before = await fixture.audit();
      const authorizing = fixture.as("ann").authorize(authorize);
      if (capturesFirst) {
        await authorizing;
        await fixture.as("ann").capture({ idempotencyKey: `${authorizeKey}-first`, authorizeKey, amount: euros(900n) });
      }
      const ends = await Promise.allSettled([
        authorizing,
        ...deeds.map((one, n) => {
          const client = fixture.as("ann", n % 2 === 0 ? 0 : 1);
          const request = { idempotencyKey: `${authorizeKey}-${n}`, authorizeKey };
          const amount = "amount" in one && one.amount !== null ? { amount: euros(one.amount) } : {};
          switch (one.t) {
            case "capture":
              return client.capture({ ...request, ...amount });
            case "refund":
              return client.refund({ ...request, ...amount });
            case "void":
              return client.void(request);
            default:
              return client.getPayment({ authorizeKey });
          }
        }),
      ]);
      for (const end of ends) {
        if (end.status === "fulfilled") continue;
        const { code } = await errorOf(Promise.reject(end.reason));
        expect([Code.FailedPrecondition, Code.Aborted, Code.NotFound]).toContain(code);
      }
      const after = await fixture.audit();
      const { payment } = await fixture.as("ann").getPayment({ authorizeKey });
      const captured = payment?.captured?.minorUnits ?? 0n;
      const refunded = payment?.refunded?.minorUnits ?? 0n;
      expect(captured).toBeLessThanOrEqual(1_000n);
      expect(refunded).toBeLessThanOrEqual(captured);
      expect(after.captured - before.captured).toBe(captured);
      expect(after.refunded - before.refunded).toBe(refunded);
      expect(after.held - before.held).toBe(payment?.state === PaymentState.AUTHORIZED ? 1_000n : 0n);
    }),
    { numRuns: 25 },
  );
});

test("many refunds at once never give back more than was captured", async () => {
  await using fixture = await startFixture();
  const token = await fixture.card("approve");
  const ann = fixture.as("ann");
  await ann.authorize({ idempotencyKey: "a", token, amount: euros(1_000n), reference: "" });
  await ann.capture({ idempotencyKey: "c", authorizeKey: "a" });
  const refunds = await Promise.allSettled(
    Array.from({ length: 30 }, (_, n) =>
      fixture.as("ann", n % 2 === 0 ? 0 : 1).refund({
        idempotencyKey: `r${n}`,
        authorizeKey: "a",
        amount: euros(150n),
      }),
    ),
  );
  expect(refunds.filter((end) => end.status === "fulfilled")).toHaveLength(6);
  expect(await fixture.audit()).toEqual({ captured: 1_000n, refunded: 900n, held: 0n });
});

test("a void racing its authorization leaves nothing held, whichever comes first; a capture racing a void has one winner", async () => {
  await using fixture = await startFixture();
  const token = await fixture.card("approve");
  await Promise.all(
    Array.from({ length: 30 }, async (_, n) => {
      const [one, other] = n % 2 === 0 ? [0 as const, 1 as const] : [1 as const, 0 as const];
      const authorize = { idempotencyKey: `a${n}`, token, amount: euros(1_000n), reference: "" };
      const ends = await Promise.allSettled([
        fixture.as("ann", one).authorize(authorize),
        fixture.as("ann", other).void({ idempotencyKey: `v${n}`, authorizeKey: `a${n}` }),
      ]);
      expect(ends[1].status).toBe("fulfilled");
      expect(await refusalOf(fixture.as("ann").authorize(authorize))).toBe(RefusalReason.UNDONE);
    }),
  );
  expect(await fixture.audit()).toEqual({ captured: 0n, refunded: 0n, held: 0n });

  let captured = 0n;
  for (let n = 0; n < 20; n++) {
    const authorizeKey = `b${n}`;
    await fixture.as("ann").authorize({ idempotencyKey: authorizeKey, token, amount: euros(1_000n), reference: "" });
    const [capture, voided] = await Promise.allSettled([
      fixture.as("ann", 0).capture({ idempotencyKey: `${authorizeKey}-c`, authorizeKey }),
      fixture.as("ann", 1).void({ idempotencyKey: `${authorizeKey}-v`, authorizeKey }),
    ]);
    expect([capture.status, voided.status].sort()).toEqual(["fulfilled", "rejected"]);
    if (capture.status === "fulfilled") captured += 1_000n;
  }
  expect(await fixture.audit()).toEqual({ captured, refunded: 0n, held: 0n });
});

test("a process that dies after the provider did its work, and before that is written down, loses nothing: the same request goes on", async () => {
  await using fixture = await startFixture();
  const token = await fixture.card("approve");
  const ann = fixture.as("ann");
  const authorize = { idempotencyKey: "a", token, amount: euros(1_000n), reference: "" };
  const { payment } = await ann.authorize(authorize);
  const paymentId = payment?.paymentId ?? "";
  const never = new AbortController().signal;
  // As a process leaves it that died between the provider's answer and its own commit.
  await fixture.database.query("UPDATE payments SET state = 'capturing', capture_key = 'c', capture_amount = 1000");
  await fixture.provider.capture({ chargeKey: paymentId, amount: 1_000n }, never);
  expect((await errorOf(ann.capture({ idempotencyKey: "other", paymentId }))).code).toBe(Code.Aborted);
  expect((await ann.capture({ idempotencyKey: "c", paymentId })).payment?.state).toBe(PaymentState.CAPTURED);
  expect(await fixture.audit()).toEqual({ captured: 1_000n, refunded: 0n, held: 0n });

  await ann.authorize({ ...authorize, idempotencyKey: "b" });
  await fixture.database.query(
    "UPDATE payments SET state = 'capturing', capture_key = 'd', capture_amount = 1000 WHERE state = 'authorized'",
  );
  // Given up instead of sent again: nothing was captured there, so nothing will be.
  expect((await ann.refund({ idempotencyKey: "r", authorizeKey: "b" })).payment?.state).toBe(PaymentState.VOIDED);
  expect(await refusalOf(ann.capture({ idempotencyKey: "d", authorizeKey: "b" }))).toBe(RefusalReason.UNDONE);
  expect(await fixture.audit()).toEqual({ captured: 1_000n, refunded: 0n, held: 0n });
});
