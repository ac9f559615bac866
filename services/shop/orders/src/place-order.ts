import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { CatalogService } from "@weft/contracts/shop/catalog/v1";
import type { InventoryService } from "@weft/contracts/shop/inventory/v1";
import type { Logger } from "@weft/foundation";
import { isConnectionLoss, type Transaction } from "@weft/store";
import { type Draft, type Line, type Order, priceDraft, reservationKey } from "./domain.js";
import type { OrderStore } from "./store.js";
import { fromUpstreamError } from "./upstream-errors.js";

export interface PlaceOrderParts {
  readonly store: OrderStore;
  readonly catalog: Client<typeof CatalogService>;
  readonly inventory: Client<typeof InventoryService>;
  readonly logger: Logger;
}

/** One order to place, inside the transaction that holds its idempotency key. */
export interface Placement {
  readonly principal: string;
  readonly idempotencyKey: string;
  readonly draft: Draft;
  readonly signal: AbortSignal;
}

/**
 * Prices by the catalog, reserves in the inventory, records.
 *
 * The reservation's key is derived from the caller's, so whoever places this order again finds the same reservation. It is released only
 * while this transaction still holds the key: when the connection is lost in the middle, somebody else may be recording the order
 * with that very reservation already, and only a retry can settle it.
 */
export async function placeOrder(tx: Transaction, parts: PlaceOrderParts, placement: Placement): Promise<Order> {
  const { principal, draft, signal } = placement;
  const lines = await price(parts, draft, signal);
  const key = reservationKey(principal, placement.idempotencyKey);
  const reservationId = await reserve(parts, key, draft, signal);
  try {
    return await parts.store.record(tx, { principal, currency: draft.currency, lines, reservationId });
  } catch (error) {
    if (isConnectionLoss(error) || signal.aborted) {
      parts.logger.warn("an order was not recorded and its stock stays held until it is placed again", {
        reservationId,
      });
    } else await release(parts, reservationId, signal);
    throw error;
  }
}

async function price(parts: PlaceOrderParts, draft: Draft, signal: AbortSignal): Promise<readonly Line[]> {
  const productIds = draft.items.map((item) => item.productId);
  const { products } = await parts.catalog.batchGetProducts({ productIds }, { signal }).catch((error: unknown) => {
    throw fromUpstreamError("catalog", error);
  });
  const lines = priceDraft(draft, products);
  if (!lines.ok) throw new ConnectError(lines.error, Code.InvalidArgument);
  return lines.value;
}

async function reserve(
  parts: PlaceOrderParts,
  idempotencyKey: string,
  draft: Draft,
  signal: AbortSignal,
): Promise<string> {
  const lines = draft.items.map((item) => ({ ...item }));
  const { reservation } = await parts.inventory
    .reserve({ idempotencyKey, lines }, { signal })
    .catch((error: unknown) => {
      throw fromUpstreamError("inventory", error);
    });
  if (reservation === undefined) throw new ConnectError("inventory gave no reservation", Code.Internal);
  return reservation.reservationId;
}

async function release(parts: PlaceOrderParts, reservationId: string, signal: AbortSignal): Promise<void> {
  try {
    await parts.inventory.release({ idempotencyKey: `release-${reservationId}`, reservationId }, { signal });
  } catch (error) {
    // The order fails by its own error; the stock stays held until the order is placed again.
    parts.logger.error("a reservation could not be released", { reservationId, error });
  }
}
