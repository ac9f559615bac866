import type { SagaDefinition } from "@weft/saga";
import { defineCancelOrder } from "./cancel-order.js";
import type { SagaParts } from "./participants.js";
import { definePlaceOrder } from "./place-order.js";
import { defineRefundOrder } from "./refund-order.js";

/** The sagas that carry orders out, in the versions that are started now. */
export interface OrderSagas {
  readonly placeOrder: ReturnType<typeof definePlaceOrder>;
  readonly cancelOrder: ReturnType<typeof defineCancelOrder>;
  readonly refundOrder: ReturnType<typeof defineRefundOrder>;
}

export function defineOrderSagas(parts: SagaParts): OrderSagas {
  return {
    placeOrder: definePlaceOrder(parts),
    cancelOrder: defineCancelOrder(parts),
    refundOrder: defineRefundOrder(parts),
  };
}

/** All versions that this program can carry out: old ones stay until they are drained. */
export function knownDefinitions(sagas: OrderSagas): readonly SagaDefinition[] {
  return [sagas.placeOrder, sagas.cancelOrder, sagas.refundOrder];
}
