import { type Parsed, parsed, refused } from "@weft/foundation";
import {
  type Challenge,
  type Fulfilment,
  type Item,
  type Order,
  type Quote,
  quoted,
  type Refusal,
  totalOf,
} from "./domain.js";

/**
 * What may become of an order. Each function gives the order after one event, and says why when that cannot be.
 *
 *   placed ──capture──> confirmed ──refund──> partially-refunded ──refund──> refunded
 *    │ ↑│                   │                        │                          │
 *    │ │└──cancel───> cancelling <────────────cancel─┴──────────────────────────┘
 *    │ │              │  │  └──already shipped──> back to what it was
 *    │ │              │  └──all undone──> cancelled (final)
 *    │ │ a step fails─┴──> refused (final)
 *    ↓ │answered
 *   awaiting-challenge ──> what placed may become, too
 *
 * A confirmed order whose parcel the carrier has got is shipped; refunds change its state, and not that it was shipped: nothing cancels it then.
 */

/** Nothing follows a final state. */
export function isFinal(order: Pick<Order, "state">): boolean {
  return order.state === "cancelled" || order.state === "refused";
}

/** What was paid; nothing until an order is confirmed. */
export function paidFor(order: Order): bigint {
  return order.fulfilment === undefined || order.quote === undefined ? 0n : totalOf(order.quote);
}

/** What was paid and is not given back, or on its way back. */
export function leftOf(order: Order): bigint {
  return paidFor(order) - order.refunded - order.refunding;
}

export function priced(order: Order, items: readonly Item[], quote: Quote): Order {
  return { ...order, items, quote };
}

/** Paid. A cancellation that came too late finds it so. */
export function confirmed(order: Order, fulfilment: Fulfilment): Order {
  return { ...order, state: "confirmed", fulfilment };
}

/** Everything that was done for it is undone. */
export function cameToNothing(order: Order, refusal: Refusal | undefined): Order {
  return refusal === undefined ? { ...order, state: "cancelled" } : { ...order, state: "refused", refusal };
}

/** The card's bank asks something first; nothing when that is known already, or was overtaken. */
export function challenged(order: Order, challenge: Challenge): Order | undefined {
  if (order.state !== "placed" || order.challenge !== undefined) return undefined;
  return { ...order, state: "awaiting-challenge", challenge };
}

/** An answer is about to be passed on: whoever sends it again later, after the order went on, is known by its key. */
export function answering(order: Order, answerKey: string): Order | undefined {
  const { state, challenge } = order;
  if (state !== "awaiting-challenge" || challenge === undefined || challenge.answerKey === answerKey) return undefined;
  return { ...order, challenge: { ...challenge, answerKey } };
}

/** The bank was told something: whether that was right is seen by what follows. */
export function challengeAnswered(order: Order): Order | undefined {
  return order.state === "awaiting-challenge" ? { ...order, state: "placed" } : undefined;
}

/** The carrier has got it; nothing when that is known already, or when something else is being decided. */
export function shipped(order: Order, shipTime: Date): Order | undefined {
  if (order.shipTime !== undefined || !isFollowed(order)) return undefined;
  const after = { ...order, shipTime };
  return { ...after, state: stateOfPaid(after) };
}

/** Whether a parcel is under way for it, or about to be. */
export function isFollowed({ state }: Pick<Order, "state">): boolean {
  return state === "confirmed" || state === "partially-refunded" || state === "refunded";
}

/** Before it is paid: its saga was told to turn back. */
export function turningBack(order: Order): Order | undefined {
  return order.state === "placed" || order.state === "awaiting-challenge"
    ? { ...order, state: "cancelling" }
    : undefined;
}

/** What a cancellation of an order finds. */
export type CancelJudgement =
  | { readonly t: "cancel"; readonly order: Order; readonly fulfilment: Fulfilment }
  /** Something else is under way that decides. */
  | { readonly t: "wait" }
  | { readonly t: "done-already" }
  | { readonly t: "refused"; readonly why: string };

export function judgeCancel(order: Order): CancelJudgement {
  switch (order.state) {
    case "placed":
    case "awaiting-challenge":
    case "cancelling":
      return { t: "wait" };
    case "cancelled":
      return { t: "done-already" };
    case "refused":
      return { t: "refused", why: `order ${quoted(order.orderId)} was refused: there is nothing to cancel` };
    case "shipped":
    case "confirmed":
    case "partially-refunded":
    case "refunded":
      if (order.shipTime !== undefined)
        return { t: "refused", why: `order ${quoted(order.orderId)} was shipped: it cannot be cancelled any more` };
      if (order.refunding > 0n || order.fulfilment === undefined) return { t: "wait" };
      return { t: "cancel", order: { ...order, state: "cancelling" }, fulfilment: order.fulfilment };
  }
}

/** The cancellation could not be: it is as it was. */
export function notCancelled(order: Order): Order {
  return { ...order, state: stateOfPaid(order) };
}

/** After it was paid: all is given back. */
export function cancelled(order: Order): Order {
  return { ...order, state: "cancelled", refunded: paidFor(order) };
}

/** Sets an amount aside to be given back, all that is left without one. */
export function refundClaimed(
  order: Order,
  amount: { readonly minorUnits: bigint; readonly currency: string } | undefined,
): Parsed<{ readonly order: Order; readonly minorUnits: bigint }> {
  const name = `order ${quoted(order.orderId)}`;
  if (paidFor(order) === 0n) return refused(`${name} is not paid: there is nothing to give back`);
  if (order.state === "cancelling" || order.state === "cancelled")
    return refused(`${name} is ${order.state}: all that was paid is given back with that`);
  const left = leftOf(order);
  const minorUnits = amount?.minorUnits ?? left;
  if (amount !== undefined && amount.currency !== order.currency)
    return refused(`amount.currency ${quoted(amount.currency)}: ${name} was paid in ${order.currency}`);
  if (minorUnits > left || left === 0n) return refused(`amount: only ${left} is left of what was paid for ${name}`);
  return parsed({ order: { ...order, refunding: order.refunding + minorUnits }, minorUnits });
}

/** What was set aside was given back. */
export function refundDone(order: Order, minorUnits: bigint): Order {
  const after = { ...order, refunding: order.refunding - minorUnits, refunded: order.refunded + minorUnits };
  return { ...after, state: stateOfPaid(after) };
}

/** What was set aside was not given back. */
export function refundDropped(order: Order, minorUnits: bigint): Order {
  return { ...order, refunding: order.refunding - minorUnits };
}

function stateOfPaid(order: Order): "confirmed" | "shipped" | "partially-refunded" | "refunded" {
  if (order.refunded === 0n) return order.shipTime === undefined ? "confirmed" : "shipped";
  return order.refunded < paidFor(order) ? "partially-refunded" : "refunded";
}
