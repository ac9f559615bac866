import type { Client } from "@connectrpc/connect";
import type { CartService } from "@weft/contracts/shop/cart/v1";
import type { CatalogService } from "@weft/contracts/shop/catalog/v1";
import type { InventoryService } from "@weft/contracts/shop/inventory/v1";
import type { PaymentService } from "@weft/contracts/shop/payments/v1";
import type { ShippingService } from "@weft/contracts/shop/shipping/v1";
import type { Clock } from "@weft/foundation";
import type { StepPolicy } from "@weft/saga";
import type { OrderStore } from "../store.js";

/** The services that take part in an order's sagas: what is asked of each. */
export interface Participants {
  readonly cart: Pick<Client<typeof CartService>, "getCart" | "clearCart">;
  readonly catalog: Pick<Client<typeof CatalogService>, "batchGetProducts">;
  readonly inventory: Pick<
    Client<typeof InventoryService>,
    "reserve" | "release" | "commit" | "restock" | "getReservation"
  >;
  readonly payments: Pick<
    Client<typeof PaymentService>,
    "authorize" | "answerChallenge" | "capture" | "refund" | "getPayment" | "getRefund"
  >;
  readonly shipping: Pick<Client<typeof ShippingService>, "getQuote" | "createLabel" | "cancelLabel" | "getLabel">;
}

/** What the sagas are made of. */
export interface SagaParts extends Participants {
  readonly store: OrderStore;
  /** How long an order waits for the answer to a challenge. Default 10 min. */
  readonly challengeMs?: number;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** How steps are tried; default {@link patientPolicy}. */
  readonly policy?: StepPolicy;
}

/**
 * A service may be away for about a minute, as for a restart of it or of its database, before an order turns back, and for about twenty
 * minutes before what must be done in the end needs an operator.
 */
export const patientPolicy: StepPolicy = {
  timeoutMs: 5_000,
  attempts: 20,
  parkAfter: 240,
  backoff: { initialMs: 100, maxMs: 5_000, multiplier: 2, jitter: 0.2 },
};
