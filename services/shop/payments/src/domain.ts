import { type Parsed, parsed, refused } from "@weft/foundation";
import type { Answer, DeclineReason } from "./provider/provider.js";

export type PaymentState =
  | "pending"
  | "challenge"
  | "authorized"
  | "capturing"
  | "captured"
  | "voiding"
  | "voided"
  | "declined";

/** What somebody wants to be charged for. Amounts are minor units of the currency. */
export interface Wish {
  readonly token: string;
  readonly amount: bigint;
  readonly currency: string;
  readonly reference: string;
}

/** Money held on, or taken from, a card. `refunding` is what refunds have claimed of `captured`; `refunded`, what they gave back. */
export interface Payment extends Wish {
  readonly paymentId: string;
  readonly state: PaymentState;
  readonly held: bigint;
  readonly captured: bigint;
  readonly refunding: bigint;
  readonly refunded: bigint;
  readonly declineReason: DeclineReason | undefined;
  /** What the bank asks the cardholder; empty when it never asked. */
  readonly challengePrompt: string;
  /** Who captures: the key of the request, and how much it asked for. */
  readonly capture: { readonly key: string; readonly amount: bigint } | undefined;
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** Captured money on its way back. */
export interface Refund {
  readonly refundId: string;
  readonly paymentId: string;
  readonly refundKey: string;
  readonly amount: bigint;
  readonly currency: string;
  readonly state: "pending" | "done";
  readonly createTime: Date;
}

/** How a caller names a payment: by its id, or by the key that authorized it or may still come to. */
export type PaymentName =
  | { readonly t: "id"; readonly paymentId: string }
  | { readonly t: "key"; readonly authorizeKey: string };

/** One line of the ledger: an amount that goes from one account to another, so that all accounts together are always 0. */
export interface Movement {
  readonly kind: "authorize" | "capture" | "release" | "refund";
  readonly from: Account;
  readonly to: Account;
  readonly amount: bigint;
}

export type Account = "cardholder" | "hold" | "shop";

/** A payment after something happened, with the lines that say so in the ledger. */
export interface Change {
  readonly payment: Payment;
  readonly movements: readonly Movement[];
}

/** Why a request about a payment is refused for good. */
export type Refusal =
  | DeclineReason
  | "challenge-required"
  | "undone"
  | "not-authorized"
  | "captured"
  | "not-captured"
  | "too-much";

/** What a request about a payment leads to. */
export type Verdict =
  /** The provider is to be asked. */
  | { readonly t: "ask" }
  | { readonly t: "done" }
  /** Something else must end first. */
  | { readonly t: "busy" }
  | { readonly t: "refused"; readonly refusal: Refusal }
  /** The request's key was used for another request. */
  | { readonly t: "key-taken" };

/**
 * What the provider says of a payment, taken for true. Hearing the same again changes nothing, and so does what was overtaken.
 *
 *   pending ─┬─> authorized ──> capturing ──> captured
 *     │      ├─> challenge ─┘ (answered)        ↑ whichever the provider says was first
 *     │      └─> declined                       ↓
 *     └── any of these not ended ──> voiding ──> voided
 */
export function afterAnswer(payment: Payment, answer: Answer): Change | undefined {
  const { state } = payment;
  const undecided = state === "pending" || state === "challenge";
  const ended = state === "captured" || state === "voided" || state === "declined";
  switch (answer.t) {
    case "authorized":
      return undecided
        ? { payment: { ...payment, state: "authorized", held: payment.amount }, movements: hold(payment) }
        : undefined;
    case "challenge":
      return state === "pending"
        ? { payment: { ...payment, state: "challenge", challengePrompt: answer.prompt }, movements: [] }
        : undefined;
    case "declined":
      return undecided
        ? { payment: { ...payment, state: "declined", declineReason: answer.reason }, movements: [] }
        : undefined;
    case "captured": {
      if (ended) return undefined;
      const taken: Movement = { kind: "capture", from: "hold", to: "shop", amount: answer.amount };
      return {
        payment: { ...payment, state: "captured", held: 0n, captured: answer.amount },
        movements: [...hold(payment), taken, ...release(payment.amount - answer.amount)],
      };
    }
    case "voided": {
      if (ended) return undefined;
      const wasHeld = answer.held || payment.held > 0n;
      return {
        payment: { ...payment, state: "voided", held: 0n },
        movements: wasHeld ? [...hold(payment), ...release(payment.amount)] : [],
      };
    }
  }
}

/** The line that a payment was held, unless the ledger has it already. */
function hold(payment: Payment): readonly Movement[] {
  return payment.held > 0n ? [] : [{ kind: "authorize", from: "cardholder", to: "hold", amount: payment.amount }];
}

function release(amount: bigint): readonly Movement[] {
  return amount === 0n ? [] : [{ kind: "release", from: "hold", to: "cardholder", amount }];
}

/** Whether the provider has the next word on it. */
export function isOpen({ state }: Pick<Payment, "state">): boolean {
  return state === "pending" || state === "challenge" || state === "capturing" || state === "voiding";
}

/** Whether an Authorize may have this payment for its answer. */
export function judgeAuthorize(payment: Payment, wish: Wish): Verdict {
  const same =
    payment.token === wish.token &&
    payment.amount === wish.amount &&
    payment.currency === wish.currency &&
    payment.reference === wish.reference;
  if (!same) return { t: "key-taken" };
  switch (payment.state) {
    case "pending":
      return { t: "ask" };
    case "challenge":
      return { t: "refused", refusal: "challenge-required" };
    case "declined":
      return { t: "refused", refusal: payment.declineReason ?? "card-declined" };
    case "voiding":
    case "voided":
      return { t: "refused", refusal: "undone" };
    case "authorized":
    case "capturing":
    case "captured":
      return { t: "done" };
  }
}

/** Whether a payment can be captured by a request; `amount` undefined means all of it. */
export function judgeCapture(
  payment: Payment,
  request: { readonly key: string; readonly amount: bigint | undefined },
): Verdict {
  const amount = request.amount ?? payment.amount;
  const own = payment.capture?.key === request.key;
  if (own && payment.capture?.amount !== amount) return { t: "key-taken" };
  switch (payment.state) {
    case "authorized":
      return amount > payment.amount ? { t: "refused", refusal: "too-much" } : { t: "ask" };
    case "capturing":
      return { t: own ? "ask" : "busy" };
    case "captured":
      return own ? { t: "done" } : { t: "refused", refusal: "captured" };
    case "voiding":
    case "voided":
      return { t: "refused", refusal: "undone" };
    case "pending":
      return { t: "busy" };
    case "challenge":
    case "declined":
      return { t: "refused", refusal: "not-authorized" };
  }
}

/** Whether a payment can be voided. One that is being captured can: the provider says which of the two was first. */
export function judgeVoid({ state }: Payment): Verdict {
  switch (state) {
    case "captured":
      return { t: "refused", refusal: "captured" };
    case "voided":
    case "declined":
      return { t: "done" };
    default:
      return { t: "ask" };
  }
}

/** Whether an amount can be refunded, which is not yet claimed by other refunds. */
export function judgeRefund(payment: Payment, amount: bigint): Verdict {
  if (payment.state === "pending" || payment.state === "capturing") return { t: "busy" };
  if (payment.state !== "captured") return { t: "refused", refusal: "not-captured" };
  return amount > payment.captured - payment.refunding ? { t: "refused", refusal: "too-much" } : { t: "ask" };
}

const longestKey = 128;
const mostMinorUnits = 1_000_000_000_000n;

/** Checks a card number and takes the spaces out. The error holds no part of it. */
export function parseCardNumber(text: string): Parsed<string> {
  const digits = text.replace(/[ -]/g, "");
  if (!/^\d{13,19}$/.test(digits)) return refused("card_number: must be 13 to 19 digits");
  let sum = 0;
  for (const [index, digit] of [...digits].reverse().entries()) {
    const value = Number(digit) * (index % 2 === 0 ? 1 : 2);
    sum += value > 9 ? value - 9 : value;
  }
  return sum % 10 === 0 ? parsed(digits) : refused("card_number: a digit is wrong");
}

/** Checks what is to be charged. */
export function parseWish(wish: {
  readonly token: string;
  readonly amount?: { readonly minorUnits: bigint; readonly currency: string } | undefined;
  readonly reference: string;
}): Parsed<Wish> {
  const { token, amount, reference } = wish;
  if (!/^card_[0-9a-f-]{36}$/.test(token)) return refused("token: was not given by TokenizeCard");
  if (amount === undefined) return refused("amount: must be set");
  const units = parseAmount(amount.minorUnits);
  if (!units.ok) return units;
  if (!/^[A-Z]{3}$/.test(amount.currency))
    return refused(`amount.currency ${quoted(amount.currency)}: must be three capital letters (ISO 4217)`);
  if (!/^[\w-]{0,64}$/.test(reference))
    return refused(`reference ${quoted(reference)}: must be at most 64 letters, digits, dashes and underscores`);
  return parsed({ token, amount: units.value, currency: amount.currency, reference });
}

/** Checks an amount that is more than nothing. */
export function parseAmount(minorUnits: bigint): Parsed<bigint> {
  return minorUnits > 0n && minorUnits <= mostMinorUnits
    ? parsed(minorUnits)
    : refused(`amount.minor_units ${minorUnits}: must be 1 to ${mostMinorUnits}`);
}

/** Checks how a payment is named: exactly one of the two. */
export function parsePaymentName(name: {
  readonly paymentId: string;
  readonly authorizeKey: string;
}): Parsed<PaymentName> {
  const { paymentId, authorizeKey } = name;
  if ((paymentId === "") === (authorizeKey === ""))
    return refused("payment_id, authorize_key: exactly one of the two must be set");
  if (paymentId !== "") {
    return isUuid(paymentId)
      ? parsed({ t: "id", paymentId })
      : refused(`payment_id ${quoted(paymentId)}: was not given by Authorize`);
  }
  const key = parseKey("authorize_key", authorizeKey);
  return key.ok ? parsed({ t: "key", authorizeKey }) : key;
}

/** Checks a key. */
export function parseKey(field: string, key: string): Parsed<string> {
  return key.length >= 1 && key.length <= longestKey
    ? parsed(key)
    : refused(`${field}: ${key.length} characters, must be 1 to ${longestKey}`);
}

export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}

/** A value in a message: never longer than a line. */
export function quoted(value: string): string {
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
}
