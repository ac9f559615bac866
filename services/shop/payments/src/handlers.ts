import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import type { CallContext, Handlers } from "@weft/chassis";
import {
  type PaymentSchema,
  PaymentService,
  type RefundSchema,
  RefundState,
  RefusalReason,
  PaymentState as WireState,
} from "@weft/contracts/shop/payments/v1";
import type { Parsed } from "@weft/foundation";
import type { Database, Idempotency } from "@weft/store";
import type { Caller, Money, PaymentDesk } from "./desk.js";
import {
  isUuid,
  type Payment,
  type PaymentName,
  parseAmount,
  parseCardNumber,
  parseKey,
  parsePaymentName,
  parseWish,
  quoted,
  type Refund,
} from "./domain.js";
import type { PaymentProvider } from "./provider/provider.js";
import { missing, reasonOf, refusal } from "./refusals.js";
import type { PaymentStore } from "./store.js";

export interface HandlerParts {
  readonly database: Database;
  readonly store: PaymentStore;
  readonly desk: PaymentDesk;
  readonly provider: PaymentProvider;
  readonly idempotency: Idempotency;
}

const method = PaymentService.method;

/**
 * The payments' methods. The desk makes each deed happen once by its key, for ever; the idempotency beneath it keeps the first reply, so that
 * whoever asks again within its time is told the same.
 */
export function createHandlers(parts: HandlerParts): Handlers<typeof PaymentService> {
  const { database, store, desk, provider, idempotency } = parts;

  return {
    async tokenizeCard(request, context) {
      const cardNumber = valid(parseCardNumber(request.cardNumber));
      return idempotency.run({ method: method.tokenizeCard, request, ...callerOf(context) }, async (tx) => {
        const card = await provider.tokenize(cardNumber, context.signal);
        await store.keepCard(tx, context.user, card);
        return create(method.tokenizeCard.output, { token: card.token, brand: card.brand });
      });
    },

    async listTestCards() {
      return { cards: provider.testCards.map(({ number, behaviour }) => ({ cardNumber: number, behaviour })) };
    },

    async authorize(request, context) {
      const key = valid(parseKey("idempotency_key", request.idempotencyKey));
      const payment = await desk.authorize(callerOf(context), key, valid(parseWish(request)));
      return idempotency.run({ method: method.authorize, request, ...callerOf(context) }, async () =>
        create(method.authorize.output, { payment: toMessage(payment) }),
      );
    },

    async answerChallenge(request, context) {
      const call = { method: method.answerChallenge, request, ...callerOf(context) };
      const known = await idempotency.recall(call);
      if (known !== undefined) return known;
      const payment = await desk.answerChallenge(callerOf(context), valid(parsePaymentName(request)), request.answer);
      return idempotency.run(call, async () => create(method.answerChallenge.output, { payment: toMessage(payment) }));
    },

    async capture(request, context) {
      const key = valid(parseKey("idempotency_key", request.idempotencyKey));
      const name = valid(parsePaymentName(request));
      const payment = await desk.capture(callerOf(context), key, name, amountOf(request.amount));
      return idempotency.run({ method: method.capture, request, ...callerOf(context) }, async () =>
        create(method.capture.output, { payment: toMessage(payment) }),
      );
    },

    async void(request, context) {
      const call = { method: method.void, request, ...callerOf(context) };
      const known = await idempotency.recall(call);
      if (known !== undefined) return known;
      const payment = await desk.undo(callerOf(context), valid(parsePaymentName(request)));
      if (payment?.state === "captured") throw refusal("captured", payment.paymentId);
      return idempotency.run(call, async () =>
        create(method.void.output, { payment: payment === undefined ? undoneMessage : toMessage(payment) }),
      );
    },

    async refund(request, context) {
      const call = { method: method.refund, request, ...callerOf(context) };
      const known = await idempotency.recall(call);
      if (known !== undefined) return known;
      const name = valid(parsePaymentName(request));
      const reply = await refund(callerOf(context), request.idempotencyKey, name, amountOf(request.amount));
      return idempotency.run(call, async () => create(method.refund.output, reply));
    },

    async getPayment(request, context) {
      const name = valid(parsePaymentName(request));
      const found = await desk.find(callerOf(context), name);
      if (found === undefined) throw missing(name);
      return { payment: found === "forbidden" ? undoneMessage : toMessage(found) };
    },

    async getRefund({ refundId, refundKey }, context) {
      if ((refundId === "") === (refundKey === ""))
        throw new ConnectError("refund_id, refund_key: exactly one of the two must be set", Code.InvalidArgument);
      if (refundId !== "" && !isUuid(refundId))
        throw new ConnectError(`refund_id ${quoted(refundId)}: was not given by Refund`, Code.InvalidArgument);
      const queries = { query: (sql: string, values?: readonly unknown[]) => database.query(sql, values, context) };
      const found = await store.findRefund(queries, context.user, refundId === "" ? { refundKey } : { refundId });
      if (found === undefined) throw new ConnectError("no such refund exists", Code.NotFound);
      return { refund: toRefundMessage(found) };
    },

    async getLedgerTotals(_, context) {
      const totals = await store.totals(context);
      return {
        totals: totals.map((sums) => ({
          currency: sums.currency,
          authorizedMinorUnits: sums.authorized,
          capturedMinorUnits: sums.captured,
          releasedMinorUnits: sums.released,
          refundedMinorUnits: sums.refunded,
        })),
      };
    },
  };

  /** Gives back an amount, or undoes the payment: voids what is only held, and gives back all that is left of what was taken. */
  async function refund(
    caller: Caller,
    key: string,
    name: PaymentName,
    amount: Money | undefined,
  ): Promise<MessageInitShape<typeof method.refund.output>> {
    if (amount === undefined) {
      const undone = await desk.undo(caller, name);
      if (undone === undefined) return { payment: undoneMessage };
      if (undone.state !== "captured") return { payment: toMessage(undone) };
    }
    const done = await desk.refund(caller, key, name, amount);
    return {
      payment: toMessage(done.payment),
      ...(done.refund === undefined ? {} : { refund: toRefundMessage(done.refund) }),
    };
  }
}

/** What a key that was forbidden before it was used looks like. */
const undoneMessage: MessageInitShape<typeof PaymentSchema> = { paymentId: "", state: WireState.VOIDED };

function callerOf(context: CallContext): { readonly principal: string; readonly bounds: CallContext } {
  return { principal: context.user, bounds: context };
}

function amountOf(amount: Money | undefined): Money | undefined {
  if (amount === undefined) return undefined;
  return { minorUnits: valid(parseAmount(amount.minorUnits)), currency: amount.currency };
}

function valid<T>(value: Parsed<T>): T {
  if (!value.ok) throw new ConnectError(value.error, Code.InvalidArgument);
  return value.value;
}

const wireStates = {
  pending: WireState.PENDING,
  challenge: WireState.CHALLENGE_REQUIRED,
  authorized: WireState.AUTHORIZED,
  capturing: WireState.CAPTURING,
  captured: WireState.CAPTURED,
  voiding: WireState.VOIDING,
  voided: WireState.VOIDED,
  declined: WireState.DECLINED,
} as const;

function toMessage(payment: Payment): MessageInitShape<typeof PaymentSchema> {
  const money = (minorUnits: bigint) => ({ minorUnits, currency: payment.currency });
  return {
    paymentId: payment.paymentId,
    state: wireStates[payment.state],
    amount: money(payment.amount),
    captured: money(payment.captured),
    refunded: money(payment.refunded),
    reference: payment.reference,
    declineReason: payment.declineReason === undefined ? RefusalReason.UNSPECIFIED : reasonOf(payment.declineReason),
    challengePrompt: payment.state === "challenge" ? payment.challengePrompt : "",
    createTime: timestampFromDate(payment.createTime),
    updateTime: timestampFromDate(payment.updateTime),
  };
}

function toRefundMessage(refund: Refund): MessageInitShape<typeof RefundSchema> {
  return {
    refundId: refund.refundId,
    paymentId: refund.paymentId,
    amount: { minorUnits: refund.amount, currency: refund.currency },
    state: refund.state === "done" ? RefundState.DONE : RefundState.PENDING,
    createTime: timestampFromDate(refund.createTime),
  };
}
