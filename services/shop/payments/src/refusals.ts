import { Code, ConnectError } from "@connectrpc/connect";
import { PaymentRefusedDetailSchema, RefusalReason } from "@weft/contracts/shop/payments/v1";
import { type Payment, type PaymentName, quoted, type Refusal } from "./domain.js";

const reasons: Readonly<Record<Refusal, { readonly reason: RefusalReason; readonly text: string }>> = {
  "card-declined": { reason: RefusalReason.CARD_DECLINED, text: "the card was declined" },
  "insufficient-funds": { reason: RefusalReason.INSUFFICIENT_FUNDS, text: "the card has too little money" },
  "challenge-required": { reason: RefusalReason.CHALLENGE_REQUIRED, text: "the card's bank asks a question first" },
  "challenge-failed": { reason: RefusalReason.CHALLENGE_FAILED, text: "the answer to the bank's question was wrong" },
  undone: { reason: RefusalReason.UNDONE, text: "the payment was voided" },
  "not-authorized": { reason: RefusalReason.NOT_AUTHORIZED, text: "nothing is held that could be captured" },
  captured: { reason: RefusalReason.CAPTURED, text: "the payment was captured already" },
  "not-captured": { reason: RefusalReason.NOT_CAPTURED, text: "nothing was captured that could be refunded" },
  "too-much": { reason: RefusalReason.TOO_MUCH, text: "the amount is more than there is" },
};

/** The wire's reason for a refusal. */
export function reasonOf(refusal: Refusal): RefusalReason {
  return reasons[refusal].reason;
}

/** Refused for good: FAILED_PRECONDITION with a PaymentRefusedDetail. */
export function refusal(why: Refusal, paymentId = ""): ConnectError {
  const { reason, text } = reasons[why];
  const detail = { desc: PaymentRefusedDetailSchema, value: { reason, paymentId } };
  return new ConnectError(text, Code.FailedPrecondition, undefined, [detail]);
}

/** Something else must end first: ABORTED. */
export function busy(payment: Payment): ConnectError {
  return new ConnectError(`payment ${quoted(payment.paymentId)} is ${payment.state}: try again`, Code.Aborted);
}

/** The provider did not answer: DEADLINE_EXCEEDED. */
export function outcomeUnknown(cause?: unknown): ConnectError {
  const text = "the payment provider did not answer in time: the outcome is not known yet";
  return new ConnectError(text, Code.DeadlineExceeded, undefined, undefined, cause);
}

export function keyTaken(key: string): ConnectError {
  return new ConnectError(`idempotency_key ${quoted(key)}: used already for another request`, Code.AlreadyExists);
}

export function missing(name: PaymentName): ConnectError {
  const text = name.t === "id" ? `payment ${quoted(name.paymentId)}` : `authorize_key ${quoted(name.authorizeKey)}`;
  return new ConnectError(`${text} does not exist`, Code.NotFound);
}
