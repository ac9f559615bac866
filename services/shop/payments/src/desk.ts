import { Code, ConnectError } from "@connectrpc/connect";
import { type Clock, DeadlineExceeded, deadlineIn, joinSignals, type Logger } from "@weft/foundation";
import type { CallBounds, Database, Transaction } from "@weft/store";
import {
  afterAnswer,
  isOpen,
  judgeAuthorize,
  judgeCapture,
  judgeRefund,
  judgeVoid,
  type Payment,
  type PaymentName,
  quoted,
  type Refund,
  type Verdict,
  type Wish,
} from "./domain.js";
import type { Answer, PaymentProvider } from "./provider/provider.js";
import { busy, keyTaken, missing, outcomeUnknown, refusal } from "./refusals.js";
import type { PaymentStore } from "./store.js";

export interface DeskParts {
  readonly database: Database;
  readonly store: PaymentStore;
  readonly provider: PaymentProvider;
  readonly providerTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Whose request it is, and how long it may take. */
export interface Caller {
  readonly principal: string;
  readonly bounds: CallBounds;
}

/** An amount that a request names. */
export interface Money {
  readonly minorUnits: bigint;
  readonly currency: string;
}

/**
 * What is done with payments. Each deed is written down before the provider is asked, and what the provider said after it: whoever dies in
 * between, the same request sent again goes on from there, since the provider knows the deed by its key. No transaction is open while the
 * provider is asked.
 */
export interface PaymentDesk {
  authorize(caller: Caller, key: string, wish: Wish): Promise<Payment>;
  answerChallenge(caller: Caller, name: PaymentName, answer: string): Promise<Payment>;
  capture(caller: Caller, key: string, name: PaymentName, amount: Money | undefined): Promise<Payment>;
  /** The payment as it ended: voided, declined, or captured when that was first. Nothing when its key is now forbidden. */
  undo(caller: Caller, name: PaymentName): Promise<Payment | undefined>;
  /** An amount, or all that no other refund has claimed; no refund when that is nothing. */
  refund(
    caller: Caller,
    key: string,
    name: PaymentName,
    amount: Money | undefined,
  ): Promise<{ readonly refund: Refund | undefined; readonly payment: Payment }>;
  /** The payment, after asking the provider for what is not known of it. */
  find(caller: Caller, name: PaymentName): Promise<Payment | "forbidden" | undefined>;
  /**
   * Goes on with an open payment on nobody's behalf: asks what became of it, and captures or voids it again where that was begun. One that is
   * to be abandoned while the provider has not decided is voided. Gives the payment as it is then.
   */
  carryOn(payment: Payment, wish: { readonly abandon: boolean; readonly bounds: CallBounds }): Promise<Payment>;
  /** Gives back what was claimed by a refund that is open. */
  carryOnRefund(caller: Caller, refund: Refund): Promise<void>;
  /** Writes down what the provider says of a payment. */
  record(paymentId: string, answer: Answer, bounds: CallBounds): Promise<Payment>;
}

export function createPaymentDesk(parts: DeskParts): PaymentDesk {
  const { database, store, provider, providerTimeoutMs, clock, logger } = parts;

  /** Asks the provider no longer than it is given; silence is DEADLINE_EXCEEDED. */
  const ask = async <T>(bounds: CallBounds, question: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    using joined = joinSignals({ clock, deadline: deadlineIn(providerTimeoutMs, clock), signals: [bounds.signal] });
    try {
      return await question(joined.signal);
    } catch (error) {
      if (joined.signal.aborted && joined.signal.reason instanceof DeadlineExceeded) throw outcomeUnknown(error);
      throw error;
    }
  };

  const record = (paymentId: string, answer: Answer, bounds: CallBounds): Promise<Payment> =>
    database.transaction(
      async (tx) => {
        const payment = await store.lockAny(tx, paymentId);
        if (payment === undefined) throw new Error(`payments: an answer for ${paymentId}, which does not exist`);
        const change = afterAnswer(payment, answer);
        return change === undefined ? payment : store.save(tx, change);
      },
      { bounds },
    );

  const settle = async (
    { bounds }: Caller,
    { paymentId }: Payment,
    question: (signal: AbortSignal) => Promise<Answer>,
  ): Promise<Payment> => record(paymentId, await ask(bounds, question), bounds);

  /** What is not known is asked; what cannot be asked now stays as it is. */
  const resolve = async ({ bounds }: Caller, payment: Payment): Promise<Payment> => {
    if (!isOpen(payment)) return payment;
    try {
      const answer = await ask(bounds, (signal) => provider.lookUp(payment.paymentId, signal));
      return answer === undefined ? payment : await record(payment.paymentId, answer, bounds);
    } catch (error) {
      logger.warn("a payment could not be looked up at the provider", { paymentId: payment.paymentId, error });
      return payment;
    }
  };

  /** Works on a caller's payment, locked. */
  const withPayment = <T>(
    { principal, bounds }: Caller,
    name: PaymentName,
    work: (tx: Transaction, payment: Payment) => Promise<T>,
  ): Promise<T> =>
    database.transaction(async (tx) => work(tx, (await store.lock(tx, principal, name)) ?? failMissing(name)), {
      bounds,
    });

  const openPayment = (caller: Caller, key: string, wish: Wish): Promise<Payment> =>
    database.transaction(
      async (tx) => {
        const taken = await store.takeKey(tx, caller.principal, key);
        if (taken.t === "forbidden") throw refusal("undone");
        if (taken.t === "known") return (await store.lockAny(tx, taken.paymentId)) ?? fail(refusal("undone"));
        if (!(await store.ownsCard(tx, caller.principal, wish.token)))
          throw new ConnectError(`token ${quoted(wish.token)} does not exist`, Code.NotFound);
        return store.make(tx, caller.principal, taken.paymentId, wish);
      },
      { bounds: caller.bounds },
    );

  const undo = async (caller: Caller, name: PaymentName): Promise<Payment | undefined> => {
    const { principal, bounds } = caller;
    if (name.t === "key") {
      const used = await database.transaction((tx) => store.forbidKey(tx, principal, name.authorizeKey), { bounds });
      if (used === undefined) return undefined;
    }
    const { verdict, payment } = await withPayment(caller, name, async (tx, locked) => {
      const verdict = judgeVoid(locked);
      // One that is being captured stays so: the provider says which of the two was first.
      if (verdict.t !== "ask" || locked.state === "capturing") return { verdict, payment: locked };
      return { verdict, payment: await store.save(tx, { payment: { ...locked, state: "voiding" }, movements: [] }) };
    });
    if (verdict.t !== "ask") return payment;
    return settle(caller, payment, (signal) => provider.void(payment.paymentId, signal));
  };

  /** Has the provider give back what a refund has claimed. */
  const giveBack = async ({ principal, bounds }: Caller, refund: Refund) => {
    const { refundId, paymentId } = refund;
    const order = { refundKey: refundId, chargeKey: paymentId, amount: refund.amount };
    await ask(bounds, (signal) => provider.refund(order, signal));
    return database.transaction((tx) => finishRefund(tx, principal, refund), { bounds });
  };

  const carryOn: PaymentDesk["carryOn"] = async (payment, { abandon, bounds }) => {
    const { paymentId, capture } = payment;
    const now = await ask(bounds, (signal) => provider.lookUp(paymentId, signal));
    const known = now === undefined ? payment : await record(paymentId, now, bounds);
    if (known.state === "capturing" && now?.t === "authorized" && capture !== undefined) {
      const order = { chargeKey: paymentId, amount: capture.amount };
      return record(paymentId, await ask(bounds, (signal) => provider.capture(order, signal)), bounds);
    }
    const undecided = known.state === "pending" || known.state === "challenge";
    if (known.state !== "voiding" && !(abandon && undecided)) return known;
    return record(paymentId, await ask(bounds, (signal) => provider.void(paymentId, signal)), bounds);
  };

  return {
    record,
    undo,
    carryOn,

    async carryOnRefund(caller, refund) {
      await giveBack(caller, refund);
    },

    async authorize(caller, key, wish) {
      let payment = await openPayment(caller, key, wish);
      const verdict = judgeAuthorize(payment, wish);
      if (verdict.t === "ask") {
        const charge = {
          chargeKey: payment.paymentId,
          token: wish.token,
          amount: wish.amount,
          currency: wish.currency,
        };
        try {
          payment = await settle(caller, payment, (signal) => provider.authorize(charge, signal));
        } catch (error) {
          if (caller.bounds.signal?.aborted === true) throw error;
          // The provider may have an answer that did not arrive.
          payment = await resolve(caller, payment);
          if (payment.state === "pending") throw error;
        }
      }
      return allow(judgeAuthorize(payment, wish), payment, key);
    },

    async answerChallenge(caller, name, answer) {
      let payment = await withPayment(caller, name, async (_, locked) => locked);
      if (payment.state === "challenge") {
        const { paymentId } = payment;
        payment = await settle(caller, payment, (signal) => provider.answerChallenge(paymentId, answer, signal));
      }
      return allow(judgeAuthorize(payment, payment), payment, "");
    },

    async capture(caller, key, name, amount) {
      const request = { key, amount: amount?.minorUnits };
      let payment = await withPayment(caller, name, async (tx, locked) => {
        checkCurrency(locked, amount);
        const verdict = judgeCapture(locked, request);
        if (verdict.t !== "ask" || locked.state === "capturing") return locked;
        const capture = { key, amount: request.amount ?? locked.amount };
        return store.save(tx, { payment: { ...locked, state: "capturing", capture }, movements: [] });
      });
      const verdict = judgeCapture(payment, request);
      if (verdict.t === "ask") {
        const order = { chargeKey: payment.paymentId, amount: request.amount ?? payment.amount };
        payment = await settle(caller, payment, (signal) => provider.capture(order, signal));
      }
      return allow(judgeCapture(payment, request), payment, key);
    },

    async refund(caller, key, name, amount) {
      const { principal } = caller;
      const { refund, payment } = await withPayment(caller, name, async (tx, locked) => {
        checkCurrency(locked, amount);
        const known = await store.findRefund(tx, principal, { refundKey: key });
        if (known !== undefined) {
          const same = known.paymentId === locked.paymentId && known.amount === (amount?.minorUnits ?? known.amount);
          return same ? { refund: known, payment: locked } : fail(keyTaken(key));
        }
        const wanted = amount?.minorUnits ?? locked.captured - locked.refunding;
        const verdict = judgeRefund(locked, wanted);
        if (verdict.t !== "ask") return { refund: undefined, payment: allow(verdict, locked, key) };
        if (wanted === 0n) return { refund: undefined, payment: locked };
        const made = { refundKey: key, paymentId: locked.paymentId, amount: wanted };
        const refund = await store.makeRefund(tx, principal, made);
        const claimed = { ...locked, refunding: locked.refunding + wanted };
        return { refund, payment: await store.save(tx, { payment: claimed, movements: [] }) };
      });
      if (refund === undefined || refund.state === "done") return { refund, payment };
      return giveBack(caller, refund);
    },

    async find(caller, name) {
      const found = await store.find(caller.principal, name, caller.bounds);
      return found === undefined || found === "forbidden" ? found : resolve(caller, found);
    },
  };

  async function finishRefund(tx: Transaction, principal: string, { refundId, paymentId }: Refund) {
    const payment = (await store.lockAny(tx, paymentId)) ?? failMissing({ t: "id", paymentId });
    const refund = await store.findRefund(tx, principal, { refundId });
    if (refund === undefined) throw new Error(`payments: refund ${refundId} is not there`);
    if (refund.state === "done") return { refund, payment };
    await store.finishRefund(tx, refundId);
    const returned = { ...payment, refunded: payment.refunded + refund.amount };
    const movements = [{ kind: "refund", from: "shop", to: "cardholder", amount: refund.amount }] as const;
    return {
      refund: { ...refund, state: "done" } as const,
      payment: await store.save(tx, { payment: returned, movements }),
    };
  }
}

/** The payment, when it is what was asked for; else the error that says why not. */
function allow(verdict: Verdict, payment: Payment, key: string): Payment {
  switch (verdict.t) {
    case "done":
      return payment;
    case "ask":
      throw outcomeUnknown();
    case "busy":
      throw busy(payment);
    case "refused":
      throw refusal(verdict.refusal, payment.paymentId);
    case "key-taken":
      throw keyTaken(key);
  }
}

function checkCurrency(payment: Payment, amount: Money | undefined): void {
  if (amount === undefined || amount.currency === payment.currency) return;
  const text = `amount.currency ${quoted(amount.currency)}: the payment is in ${payment.currency}`;
  throw new ConnectError(text, Code.InvalidArgument);
}

function failMissing(name: PaymentName): never {
  throw missing(name);
}

function fail(error: Error): never {
  throw error;
}
