import { Code, ConnectError } from "@connectrpc/connect";
import { OutOfStockDetailSchema } from "@weft/contracts/shop/inventory/v1";
import { OrderRefusedDetailSchema } from "@weft/contracts/shop/orders/v1";
import type { Order, Refusal, RefusalReason } from "./domain.js";
import { toRefusalMessage } from "./messages.js";

/**
 * What a refused order is to who placed it.
 *
 * | reason | code |
 * | --- | --- |
 * | the request cannot be right | INVALID_ARGUMENT |
 * | a service was away for too long | ABORTED: place it anew |
 * | everything else | FAILED_PRECONDITION |
 */
export function refusedError(order: Order, refusal: Refusal): ConnectError {
  const { shortages } = refusal;
  const outOfStock = { desc: OutOfStockDetailSchema, value: { shortages: shortages.map((short) => ({ ...short })) } };
  const refused = {
    desc: OrderRefusedDetailSchema,
    value: { orderId: order.orderId, refusal: toRefusalMessage(refusal) },
  };
  const details = shortages.length === 0 ? [refused] : [outOfStock, refused];
  return new ConnectError(refusal.message, codeOf(refusal.reason), undefined, details);
}

function codeOf(reason: RefusalReason): Code {
  switch (reason) {
    case "invalid":
      return Code.InvalidArgument;
    case "unavailable":
      return Code.Aborted;
    default:
      return Code.FailedPrecondition;
  }
}
