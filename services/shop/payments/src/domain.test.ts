import { luhnCompleted } from "@weft/chassis/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Account, afterAnswer, judgeVoid, type Movement, type Payment, parseCardNumber } from "./domain.js";
import type { Answer } from "./provider/provider.js";

const fresh: Payment = {
  paymentId: "p",
  token: "t",
  amount: 1_000n,
  currency: "EUR",
  reference: "",
  state: "pending",
  held: 0n,
  captured: 0n,
  refunding: 0n,
  refunded: 0n,
  declineReason: undefined,
  challengePrompt: "",
  capture: undefined,
  createTime: new Date(0),
  updateTime: new Date(0),
};

const balanceOf = (account: Account, movements: readonly Movement[]): bigint =>
  movements.reduce(
    (sum, { from, to, amount }) => sum + (to === account ? amount : 0n) - (from === account ? amount : 0n),
    0n,
  );

const anyAnswer: fc.Arbitrary<Answer> = fc.oneof(
  fc.constant<Answer>({ t: "authorized" }),
  fc.constant<Answer>({ t: "challenge", prompt: "?" }),
  fc.constant<Answer>({ t: "declined", reason: "card-declined" }),
  fc.bigInt({ min: 1n, max: 1_000n }).map<Answer>((amount) => ({ t: "captured", amount })),
  fc.boolean().map<Answer>((held) => ({ t: "voided", held })),
);

test("whatever the provider says, in whatever order and however often, the ledger says the same as the payment", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anyAnswer, fc.boolean()), { maxLength: 12 }), (answers) => {
      let payment = fresh;
      const ledger: Movement[] = [];
      let ended = "";
      for (const [answer, voids] of answers) {
        if (voids && judgeVoid(payment).t === "ask") payment = { ...payment, state: "voiding" };
        const change = afterAnswer(payment, answer);
        if (ended !== "") expect(change).toBeUndefined();
        if (change === undefined) continue;
        ({ payment } = change);
        ledger.push(...change.movements);
        // The same answer once more changes nothing.
        expect(afterAnswer(payment, answer)).toBeUndefined();
        if (["captured", "voided", "declined"].includes(payment.state)) ended = payment.state;
        expect(balanceOf("hold", ledger)).toBe(payment.held);
        expect(balanceOf("shop", ledger)).toBe(payment.captured);
        expect(balanceOf("cardholder", ledger)).toBe(-payment.held - payment.captured);
        expect(ledger.filter((line) => line.kind === "authorize").length).toBeLessThanOrEqual(1);
        for (const line of ledger) expect(line.amount).toBeGreaterThan(0n);
      }
    }),
  );
});

test("an answer to the authorization that comes while the payment is voided holds nothing", () => {
  expect(afterAnswer({ ...fresh, state: "voiding" }, { t: "authorized" })).toBeUndefined();
});

test("a card number passes with its check digit, spaces or not, and with no other", () => {
  const body = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 12, maxLength: 18 });
  fc.assert(
    fc.property(body, fc.integer({ min: 1, max: 9 }), (digits, off) => {
      const number = luhnCompleted(digits);
      expect(parseCardNumber(number)).toEqual({ ok: true, value: number });
      expect(parseCardNumber(number.replace(/(.{4})/g, "$1 "))).toEqual({ ok: true, value: number });
      const wrong = `${number.slice(0, -1)}${(Number(number.at(-1)) + off) % 10}`;
      const refusal = parseCardNumber(wrong);
      expect(refusal.ok).toBe(false);
      if (!refusal.ok) expect(refusal.error).not.toMatch(/\d{3}/);
    }),
  );
});
