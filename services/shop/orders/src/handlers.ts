import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import type { CallContext, Handlers } from "@weft/chassis";
import { type OrderSchema, OrderService, OrderState as WireState } from "@weft/contracts/shop/orders/v1";
import type { Parsed } from "@weft/foundation";
import type { Idempotency, Notifications, Transaction } from "@weft/store";
import {
  isFinal,
  lineTotal,
  type Order,
  pageTokenBefore,
  parseDraft,
  parseOrderId,
  parsePageSize,
  parsePageToken,
  quoted,
  totalOf,
} from "./domain.js";
import { type PlaceOrderParts, placeOrder } from "./place-order.js";
import { fromUpstreamError } from "./upstream-errors.js";
import { watchOrder } from "./watch-order.js";

export interface HandlerParts extends PlaceOrderParts {
  readonly idempotency: Idempotency;
  readonly notifications: Notifications;
}

const method = OrderService.method;

/** The orders' methods over their store and the services they ask. */
export function createHandlers(parts: HandlerParts): Handlers<typeof OrderService> {
  const { store, idempotency, inventory, notifications } = parts;

  const find = async (principal: string, orderId: string, context: CallContext): Promise<Order> =>
    (await store.find(principal, orderId, context)) ?? missing(orderId);

  const cancel = async (tx: Transaction, principal: string, orderId: string, signal: AbortSignal): Promise<Order> => {
    const order = (await store.lock(tx, principal, orderId)) ?? missing(orderId);
    if (isFinal(order.state)) return order;
    const { reservationId } = order;
    // Released first: should the recording fail, cancelling again finds it released and goes on.
    await inventory
      .release({ idempotencyKey: `cancel-${orderId}`, reservationId }, { signal })
      .catch((error: unknown) => {
        throw fromUpstreamError("inventory", error);
      });
    return store.move(tx, orderId, "cancelled");
  };

  return {
    async placeOrder(request, context) {
      const draft = valid(parseDraft(request.items, request.currency));
      const principal = context.user;
      return idempotency.run({ method: method.placeOrder, principal, request, bounds: context }, async (tx) => {
        const { idempotencyKey } = request;
        const order = await placeOrder(tx, parts, { principal, idempotencyKey, draft, signal: context.signal });
        return create(method.placeOrder.output, { order: toMessage(order) });
      });
    },

    async cancelOrder(request, context) {
      const orderId = valid(parseOrderId(request.orderId));
      const principal = context.user;
      return idempotency.run({ method: method.cancelOrder, principal, request, bounds: context }, async (tx) => {
        const order = await cancel(tx, principal, orderId, context.signal);
        return create(method.cancelOrder.output, { order: toMessage(order) });
      });
    },

    async getOrder(request, context) {
      const orderId = valid(parseOrderId(request.orderId));
      return { order: toMessage(await find(context.user, orderId, context)) };
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
        orders: page.map(({ order }) => toMessage(order)),
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
      for await (const order of orders) yield { order: toMessage(order) };
    },
  };
}

function missing(orderId: string): never {
  throw new ConnectError(`order ${quoted(orderId)} does not exist`, Code.NotFound);
}

function valid<T>(value: Parsed<T>): T {
  if (!value.ok) throw new ConnectError(value.error, Code.InvalidArgument);
  return value.value;
}

const wireStates = { placed: WireState.PLACED, cancelled: WireState.CANCELLED } as const;

function toMessage(order: Order): MessageInitShape<typeof OrderSchema> {
  const money = (minorUnits: bigint) => ({ minorUnits, currency: order.currency });
  return {
    orderId: order.orderId,
    state: wireStates[order.state],
    lines: order.lines.map((line) => ({
      productId: line.productId,
      name: line.name,
      quantity: line.quantity,
      unitPrice: money(line.unitPrice),
      totalPrice: money(lineTotal(line)),
    })),
    totalPrice: money(totalOf(order.lines)),
    reservationId: order.reservationId,
    createTime: timestampFromDate(order.createTime),
    updateTime: timestampFromDate(order.updateTime),
    version: order.version,
  };
}
