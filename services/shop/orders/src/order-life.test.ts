import fc from "fast-check";
import { expect, test } from "vitest";
import type { Order, OrderState } from "./domain.js";
import {
  cameToNothing,
  cancelled,
  confirmed,
  isFinal,
  judgeCancel,
  leftOf,
  notCancelled,
  paidFor,
  refundClaimed,
  refundDone,
  refundDropped,
  turningBack,
} from "./order-life.js";

const fulfilment = { reservationId: "r", paymentId: "p", labelId: "l", trackingCode: "t" };

function orderIn(state: OrderState): Order {
  const at = new Date(0);
  return {
    orderId: "o",
    principal: "ann",
    state,
    currency: "EUR",
    items: [],
    quote: { lines: [{ productId: "tea", name: "Tea", quantity: 1, unitPrice: 900n }], shipping: 100n },
    fulfilment: undefined,
    refunded: 0n,
    refunding: 0n,
    refusal: undefined,
    challenge: undefined,
    shipTime: undefined,
    createTime: at,
    updateTime: at,
    version: 1n,
  };
}

test("an order is cancelled by whoever decides about it; nothing follows a final state", () => {
  const judged = (["placed", "cancelling", "cancelled", "refused"] as const).map((s) => judgeCancel(orderIn(s)).t);
  expect(judged).toEqual(["wait", "wait", "done-already", "refused"]);
  const paid = confirmed(orderIn("placed"), fulfilment);
  const judgement = judgeCancel(paid);
  if (judgement.t !== "cancel") throw new Error(judgement.t);
  expect(judgement.order.state).toBe("cancelling");
  expect(notCancelled(judgement.order)).toEqual(paid);
  expect(cancelled(judgement.order)).toMatchObject({ state: "cancelled", refunded: 1_000n });
  expect(turningBack(paid)).toBeUndefined();
  for (const state of ["placed", "awaiting-challenge"] as const)
    expect(turningBack(orderIn(state))?.state).toBe("cancelling");
  expect((["cancelled", "refused"] as const).map((state) => isFinal({ state }))).toEqual([true, true]);
  const refusal = { reason: "out-of-stock", message: "none", shortages: [] } as const;
  expect(cameToNothing(orderIn("placed"), refusal)).toMatchObject({ state: "refused", refusal });
  expect(cameToNothing(orderIn("cancelling"), undefined).state).toBe("cancelled");
});

test("whatever is claimed, done and dropped, what is given back never exceeds what was paid", () => {
  const act = fc.record({ minorUnits: fc.bigInt({ min: 1n, max: 700n }), all: fc.boolean(), done: fc.boolean() });
  fc.assert(
    fc.property(fc.array(act, { maxLength: 12 }), (acts) => {
      let order = confirmed(orderIn("placed"), fulfilment);
      const claims: { readonly minorUnits: bigint; readonly done: boolean }[] = [];
      for (const { minorUnits, all, done } of acts) {
        const left = leftOf(order);
        const claim = refundClaimed(order, all ? undefined : { minorUnits, currency: "EUR" });
        expect(claim.ok).toBe(all ? left > 0n : minorUnits <= left);
        if (!claim.ok) continue;
        order = claim.value.order;
        claims.push({ minorUnits: claim.value.minorUnits, done });
        expect(judgeCancel(order).t).toBe("wait");
      }
      let given = 0n;
      for (const { minorUnits, done } of claims) {
        order = done ? refundDone(order, minorUnits) : refundDropped(order, minorUnits);
        if (done) given += minorUnits;
      }
      expect([order.refunded, order.refunding, leftOf(order)]).toEqual([given, 0n, paidFor(order) - given]);
      expect(order.state).toBe(given === 0n ? "confirmed" : given < 1_000n ? "partially-refunded" : "refunded");
    }),
  );
});

test("nothing is given back of what is not paid, or is given back already", () => {
  expect(refundClaimed(orderIn("placed"), undefined).ok).toBe(false);
  const judgement = judgeCancel(confirmed(orderIn("placed"), fulfilment));
  expect(judgement.t === "cancel" && refundClaimed(judgement.order, undefined).ok).toBe(false);
});
