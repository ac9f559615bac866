import { createHash, randomUUID } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { CallContext, Handlers } from "@weft/chassis";
import type { PlaceOrderInputSchema } from "@weft/contracts/shop/orders/saga/v1";
import {
  type Delivery,
  type DeliverySchema,
  OrderRefundState,
  OrderService,
  OrderState,
} from "@weft/contracts/shop/orders/v1";
import type { Clock, Logger, Parsed } from "@weft/foundation";
import { failureError, type Sagas, stepKey } from "@weft/saga";
import type { Idempotency, Notifications, Transaction } from "@weft/store";
import {
  type Item,
  type Order,
  pageTokenBefore,
  parseAmount,
  parseAnswer,
  parseItems,
  parseOrderId,
  parsePageSize,
  parsePageToken,
  parseTerms,
  quoted,
  type Terms,
} from "./domain.js";
import { fromWireSpeed, toOrderMessage, wireSpeeds } from "./messages.js";
import { answering, challengeAnswered, judgeCancel, refundClaimed, turningBack } from "./order-life.js";
import { refusedError } from "./refused-error.js";
import type { OrderSagas } from "./sagas/definitions.js";
import type { Participants } from "./sagas/participants.js";
import type { OrderStore } from "./store.js";
import { withinPatience } from "./wait.js";
import { watchOrder } from "./watch-order.js";

export interface HandlerParts {
  readonly store: OrderStore;
  readonly idempotency: Idempotency;
  readonly notifications: Notifications;
  readonly sagas: Sagas;
  readonly definitions: OrderSagas;
  readonly payments: Pick<Participants["payments"], "answerChallenge">;
  readonly clock: Clock;
  readonly logger: Logger;
}

const method = OrderService.method;

/**
 * The orders' methods. What changes something is recorded with its saga in one transaction, the one of the idempotency row; the reply that is
 * kept there only names it. What is answered is what has become of it while the caller waits.
 */
export function createHandlers(parts: HandlerParts): Handlers<typeof OrderService> {
  const { store, idempotency, notifications, sagas, definitions, payments, clock, logger } = parts;

  const find = async (principal: string, orderId: string, context: CallContext): Promise<Order> =>
    (await store.find(principal, orderId, context)) ?? missing(orderId);

  const lock = async (tx: Transaction, principal: string, orderId: string): Promise<Order> => {
    const order = await store.lock(tx, orderId);
    return order?.principal === principal ? order : missing(orderId);
  };

  /** Begins a recorded saga at once. When it cannot be now, whoever looks for work next begins it. */
  const begin = (id: string): Promise<void> =>
    sagas.begin(id).catch((error: unknown) => logger.warn("a saga is left to be found", { saga: id, error }));

  /** The order when it is no longer in one of the states, or as it is when the caller can wait no more. */
  const outOf = async (states: readonly Order["state"][], orderId: string, context: CallContext): Promise<Order> => {
    const principal = context.user;
    const settled = await withinPatience(context, clock, async ({ signal }) => {
      const find = async (): Promise<Order> => (await store.find(principal, orderId, { signal })) ?? missing(orderId);
      for await (const order of watchOrder({ orderId, find, notifications, signal }))
        if (!states.includes(order.state)) return order;
      return undefined;
    });
    return settled ?? find(principal, orderId, context);
  };

  const record = async (tx: Transaction, principal: string, wish: Wish): Promise<string> => {
    const { items, cart, terms } = wish;
    const { currency, paymentToken } = terms;
    const { orderId } = await store.record(tx, { principal, currency, items });
    const input: MessageInitShape<typeof PlaceOrderInputSchema> = {
      items: items.map((item) => ({ ...item })),
      ...(cart === undefined ? {} : { cart }),
      currency,
      paymentToken,
      delivery: toDelivery(terms),
    };
    await sagas.enqueue(tx, definitions.placeOrder, { id: orderId, input, principal });
    return orderId;
  };

  /** What became of an order that was placed: itself, or the error with which it came to nothing. */
  const placed = async (orderId: string, context: CallContext): Promise<Order> => {
    const order = await outOf(["placed"], orderId, context);
    if (order.refusal !== undefined) throw refusedError(order, order.refusal);
    return order;
  };

  /** Turns an order back that is not paid yet, or records the saga that calls it off; gives the state that the stub of the reply tells it by. */
  const callOff = async (tx: Transaction, principal: string, orderId: string, sagaId: string): Promise<OrderState> => {
    // The saga's row before the order's, as its own steps take them.
    const answer = await sagas.cancelIn(tx, orderId, "cancelled by who placed it");
    const order = await lock(tx, principal, orderId);
    if (answer === "accepted") {
      const back = turningBack(order);
      if (back !== undefined) await store.save(tx, back);
      return OrderState.CANCELLING;
    }
    const judgement = judgeCancel(order);
    if (judgement.t === "refused") throw new ConnectError(judgement.why, Code.FailedPrecondition);
    if (judgement.t === "done-already") return OrderState.CANCELLED;
    await sagas.enqueue(tx, definitions.cancelOrder, { id: sagaId, input: { orderId }, principal });
    return OrderState.CONFIRMED;
  };

  return {
    async placeOrder(request, context) {
      const items = valid(parseItems(request.items));
      const wish: Wish = { items, cart: undefined, terms: valid(termsOf(request)) };
      const call = { method: method.placeOrder, request, ...callerOf(context) };
      let orderId = "";
      const stub = await idempotency.run(call, async (tx) => {
        orderId = await record(tx, context.user, wish);
        return create(method.placeOrder.output, { order: { orderId } });
      });
      if (orderId !== "") await begin(orderId);
      return { order: toOrderMessage(await placed(stub.order?.orderId ?? "", context)) };
    },

    async checkout(request, context) {
      if (request.cartVersion < 0n)
        throw new ConnectError(`cart_version ${request.cartVersion}: must not be below 0`, Code.InvalidArgument);
      const wish: Wish = { items: [], cart: { version: request.cartVersion }, terms: valid(termsOf(request)) };
      const call = { method: method.checkout, request, ...callerOf(context) };
      let orderId = "";
      const stub = await idempotency.run(call, async (tx) => {
        orderId = await record(tx, context.user, wish);
        return create(method.checkout.output, { order: { orderId } });
      });
      if (orderId !== "") await begin(orderId);
      return { order: toOrderMessage(await placed(stub.order?.orderId ?? "", context)) };
    },

    async answerChallenge(request, context) {
      const orderId = valid(parseOrderId(request.orderId));
      const answer = valid(parseAnswer(request.answer));
      const call = { method: method.answerChallenge, request, ...callerOf(context) };
      if ((await idempotency.recall(call)) === undefined) {
        await find(context.user, orderId, context);
        const idempotencyKey = answerKey(orderId, request.idempotencyKey);
        const order = await store.change(orderId, (found) => answering(found, idempotencyKey), context);
        if (order?.refusal !== undefined) throw refusedError(order, order.refusal);
        // One that was passed on before, and whose reply was lost, is not refused because the order went on since.
        if (order?.challenge?.answerKey !== idempotencyKey)
          throw new ConnectError(`order ${quoted(orderId)} awaits no answer`, Code.FailedPrecondition);
        // The answer goes to payments and is kept nowhere on its way. What it led to is seen there by the order's saga, also when this process
        // dies right here.
        if (order.state === "awaiting-challenge")
          await payments
            .answerChallenge(
              { idempotencyKey, authorizeKey: stepKey(orderId, "authorize"), answer },
              { signal: context.signal },
            )
            .catch((error: unknown) => {
              // A wrong answer, or one that came too late: the saga turns back, and says so.
              if (ConnectError.from(error).code !== Code.FailedPrecondition) throw error;
            });
        await idempotency.run(call, async (tx) => {
          const answered = challengeAnswered(await lock(tx, context.user, orderId));
          if (answered !== undefined) await store.save(tx, answered);
          return create(method.answerChallenge.output, { order: { orderId } });
        });
      }
      return { order: toOrderMessage(await placed(orderId, context)) };
    },

    async cancelOrder(request, context) {
      const orderId = valid(parseOrderId(request.orderId));
      const sagaId = cancellationId(context.user, request.idempotencyKey);
      await find(context.user, orderId, context);
      const call = { method: method.cancelOrder, request, ...callerOf(context) };
      const stub = await idempotency.run(call, async (tx) =>
        create(method.cancelOrder.output, {
          order: { orderId, state: await callOff(tx, context.user, orderId, sagaId) },
        }),
      );
      if (stub.order?.state === OrderState.CONFIRMED) {
        await begin(sagaId);
        const outcome = await withinPatience(context, clock, (bounds) =>
          sagas.outcome(definitions.cancelOrder, sagaId, bounds),
        );
        if (outcome?.t === "compensated") throw fromFailure(failureError(outcome.failure));
      }
      const order = await outOf(["placed", "awaiting-challenge", "cancelling"], orderId, context);
      if (order.state === "refused")
        throw new ConnectError(
          `order ${quoted(orderId)} was refused: there is nothing to cancel`,
          Code.FailedPrecondition,
        );
      return { order: toOrderMessage(order) };
    },

    async refundOrder(request, context) {
      const orderId = valid(parseOrderId(request.orderId));
      const amount = valid(parseAmount(request.amount));
      const principal = context.user;
      const call = { method: method.refundOrder, request, ...callerOf(context) };
      const stub = await idempotency.run(call, async (tx) => {
        const order = await lock(tx, principal, orderId);
        const claim = refundClaimed(order, amount);
        if (!claim.ok) throw new ConnectError(claim.error, Code.FailedPrecondition);
        await store.save(tx, claim.value.order);
        const refundId = randomUUID();
        const { minorUnits } = claim.value;
        const { currency } = order;
        const input = { orderId, paymentId: order.fulfilment?.paymentId ?? "", minorUnits, currency };
        await sagas.enqueue(tx, definitions.refundOrder, { id: refundId, input, principal });
        return create(method.refundOrder.output, { refundId, amount: { minorUnits, currency } });
      });
      const { refundId } = stub;
      await begin(refundId);
      const outcome = await withinPatience(context, clock, (bounds) =>
        sagas.outcome(definitions.refundOrder, refundId, bounds),
      );
      if (outcome?.t === "compensated") throw fromFailure(failureError(outcome.failure));
      return {
        refundId,
        ...(stub.amount === undefined ? {} : { amount: stub.amount }),
        state: outcome?.t === "completed" ? OrderRefundState.DONE : OrderRefundState.PENDING,
        order: toOrderMessage(await find(principal, orderId, context)),
      };
    },

    async getOrder(request, context) {
      const orderId = valid(parseOrderId(request.orderId));
      return { order: toOrderMessage(await find(context.user, orderId, context)) };
    },

    async listOrders(request, context) {
      const limit = valid(parsePageSize(request.pageSize));
      const before = valid(parsePageToken(request.pageToken));
      // One more than asked for tells whether there is a next page.
      const found = await store.list(context.user, { limit: limit + 1, before }, context);
      const page = found.slice(0, limit);
      const last = page.at(-1);
      const more = found.length > limit && last !== undefined;
      return {
        orders: page.map(({ order }) => toOrderMessage(order)),
        nextPageToken: more ? pageTokenBefore(last.sequence) : "",
      };
    },

    async *watchOrder(request, context) {
      const orderId = valid(parseOrderId(request.orderId));
      const principal = context.user;
      const orders = watchOrder({
        orderId,
        find: () => find(principal, orderId, context),
        notifications,
        signal: context.signal,
      });
      for await (const order of orders) yield { order: toOrderMessage(order) };
    },
  };
}

/** What somebody wants to buy: some products, or what is in their cart. */
interface Wish {
  readonly items: readonly Item[];
  readonly cart: { readonly version: bigint } | undefined;
  readonly terms: Terms;
}

function termsOf(request: {
  readonly currency: string;
  readonly paymentToken: string;
  readonly delivery?: Delivery | undefined;
}): Parsed<Terms> {
  const { currency, paymentToken, delivery } = request;
  return parseTerms({ currency, paymentToken, address: delivery?.address, speed: fromWireSpeed(delivery?.speed ?? 0) });
}

function toDelivery({ address, speed }: Terms): MessageInitShape<typeof DeliverySchema> {
  return { address, speed: wireSpeeds[speed] };
}

/** The id of the saga of a cancellation: the same whenever the same is asked for again. */
function cancellationId(principal: string, idempotencyKey: string): string {
  const hash = createHash("sha256").update(JSON.stringify([principal, idempotencyKey]));
  return `cancel-${hash.digest("hex").slice(0, 48)}`;
}

/** The key of an answer at payments: the same whenever the same is sent again. */
function answerKey(orderId: string, idempotencyKey: string): string {
  const hash = createHash("sha256").update(JSON.stringify([orderId, idempotencyKey]));
  return `answer-${hash.digest("hex").slice(0, 48)}`;
}

/** What another service's error is to our caller: a refusal goes on, anything else may pass. Its details stay here. */
function fromFailure(error: ConnectError): ConnectError {
  return error.code === Code.FailedPrecondition
    ? new ConnectError(error.rawMessage, error.code)
    : new ConnectError("it could not be done for now: try again under another key", Code.Aborted, undefined, [], error);
}

function callerOf(context: CallContext): { readonly principal: string; readonly bounds: CallContext } {
  return { principal: context.user, bounds: context };
}

function missing(orderId: string): never {
  throw new ConnectError(`order ${quoted(orderId)} does not exist`, Code.NotFound);
}

function valid<T>(value: Parsed<T>): T {
  if (!value.ok) throw new ConnectError(value.error, Code.InvalidArgument);
  return value.value;
}
