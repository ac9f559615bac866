import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { withoutCardNumbers } from "@weft/chassis";
import {
  OrderRefusalReason,
  type OrderRefusalSchema,
  type OrderSchema,
  OrderState as WireState,
} from "@weft/contracts/shop/orders/v1";
import { ShippingSpeed } from "@weft/contracts/shop/shipping/v1";
import {
  lineTotal,
  type Order,
  type OrderState,
  type Refusal,
  type RefusalReason,
  type Speed,
  totalOf,
} from "./domain.js";

const wireStates = {
  placed: WireState.PLACED,
  "awaiting-challenge": WireState.AWAITING_CHALLENGE,
  confirmed: WireState.CONFIRMED,
  shipped: WireState.SHIPPED,
  refused: WireState.REFUSED,
  cancelling: WireState.CANCELLING,
  cancelled: WireState.CANCELLED,
  "partially-refunded": WireState.PARTIALLY_REFUNDED,
  refunded: WireState.REFUNDED,
} as const satisfies Record<OrderState, WireState>;

const wireReasons = {
  invalid: OrderRefusalReason.INVALID,
  "cart-empty": OrderRefusalReason.CART_EMPTY,
  "cart-changed": OrderRefusalReason.CART_CHANGED,
  "out-of-stock": OrderRefusalReason.OUT_OF_STOCK,
  "not-deliverable": OrderRefusalReason.NOT_DELIVERABLE,
  "card-declined": OrderRefusalReason.CARD_DECLINED,
  "insufficient-funds": OrderRefusalReason.INSUFFICIENT_FUNDS,
  "challenge-unanswered": OrderRefusalReason.CHALLENGE_UNANSWERED,
  "payment-refused": OrderRefusalReason.PAYMENT_REFUSED,
  unavailable: OrderRefusalReason.UNAVAILABLE,
} as const satisfies Record<RefusalReason, OrderRefusalReason>;

const reasons = new Map<OrderRefusalReason, RefusalReason>(
  parseReasons(Object.entries(wireReasons)).map(([reason, wire]) => [wire, reason]),
);

/** `Object.entries` gives the keys as text. */
function parseReasons(
  entries: readonly [string, OrderRefusalReason][],
): readonly [RefusalReason, OrderRefusalReason][] {
  return entries as readonly [RefusalReason, OrderRefusalReason][];
}

export function fromWireReason(wire: OrderRefusalReason): RefusalReason {
  return reasons.get(wire) ?? "invalid";
}

export function toRefusalMessage({ reason, message, shortages }: Refusal): MessageInitShape<typeof OrderRefusalSchema> {
  // It may quote what somebody typed: details and orders show it, so no card number stays in it.
  return {
    reason: wireReasons[reason],
    message: withoutCardNumbers(message),
    shortages: shortages.map((short) => ({ ...short })),
  };
}

export const wireSpeeds = {
  standard: ShippingSpeed.STANDARD,
  express: ShippingSpeed.EXPRESS,
} as const satisfies Record<Speed, ShippingSpeed>;

/** Unset means standard. */
export function fromWireSpeed(speed: ShippingSpeed): Speed {
  return speed === ShippingSpeed.EXPRESS ? "express" : "standard";
}

export function toOrderMessage(order: Order): MessageInitShape<typeof OrderSchema> {
  const { quote, fulfilment, refusal, challenge, shipTime } = order;
  const money = (minorUnits: bigint) => ({ minorUnits, currency: order.currency });
  return {
    orderId: order.orderId,
    state: wireStates[order.state],
    lines:
      quote === undefined
        ? order.items.map(({ productId, quantity }) => ({ productId, quantity }))
        : quote.lines.map((line) => ({
            productId: line.productId,
            name: line.name,
            quantity: line.quantity,
            unitPrice: money(line.unitPrice),
            totalPrice: money(lineTotal(line)),
          })),
    ...(quote === undefined ? {} : { totalPrice: money(totalOf(quote)), shippingPrice: money(quote.shipping) }),
    ...(fulfilment === undefined ? {} : { ...fulfilment, refundedPrice: money(order.refunded) }),
    ...(refusal === undefined ? {} : { refusal: toRefusalMessage(refusal) }),
    ...(challenge === undefined || order.state !== "awaiting-challenge"
      ? {}
      : { challenge: { prompt: challenge.prompt, expireTime: timestampFromDate(challenge.expireTime) } }),
    ...(shipTime === undefined ? {} : { shipTime: timestampFromDate(shipTime) }),
    createTime: timestampFromDate(order.createTime),
    updateTime: timestampFromDate(order.updateTime),
    version: order.version,
  };
}
