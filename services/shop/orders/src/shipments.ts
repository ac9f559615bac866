import { LabelState } from "@weft/contracts/shop/shipping/v1";
import { type Clock, deadlineIn, joinSignals, type Logger, sleep } from "@weft/foundation";
import { runInCallScope } from "@weft/mesh";
import type { Order } from "./domain.js";
import { shipped } from "./order-life.js";
import type { Participants } from "./sagas/participants.js";
import type { OrderStore } from "./store.js";

export interface ShipmentParts {
  readonly store: OrderStore;
  readonly shipping: Pick<Participants["shipping"], "getLabel">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long to rest when nothing is due. Default 1 s. */
  readonly everyMs?: number;
}

const atOnce = 20;
const lookUpMs = 5_000;

/**
 * Learns which confirmed orders the carrier has got, until the signal aborts: asks shipping for each order's label, on behalf of who placed it, at
 * times that lie further apart the longer it takes. Any replica does it; what one has taken is due again by itself if it dies.
 */
export async function followShipments(parts: ShipmentParts, signal: AbortSignal): Promise<void> {
  const { store, clock, logger, everyMs = 1_000 } = parts;
  while (!signal.aborted) {
    let taken: readonly Order[] = [];
    try {
      taken = await store.takeToLookAt(atOnce, { signal });
      await Promise.all(taken.map((order) => look(parts, order, signal)));
    } catch (error) {
      if (!signal.aborted) logger.warn("shipments could not be looked up: they are due again later", { error });
    }
    if (taken.length === atOnce) continue;
    // Aborted: the loop ends by itself.
    await sleep(everyMs, { clock, signal }).catch(() => {});
  }
}

async function look({ store, shipping, clock, logger }: ShipmentParts, order: Order, stop: AbortSignal): Promise<void> {
  const { orderId, principal, fulfilment } = order;
  if (fulfilment === undefined) return;
  const deadline = deadlineIn(lookUpMs, clock);
  using joined = joinSignals({ clock, deadline, signals: [stop] });
  const { signal } = joined;
  try {
    const scope = { deadline, signal, user: principal };
    const { label } = await runInCallScope(scope, () => shipping.getLabel({ labelId: fulfilment.labelId }, { signal }));
    if (label?.state !== LabelState.HANDED_OVER && label?.state !== LabelState.DELIVERED) return;
    await store.change(orderId, (found) => shipped(found, new Date(clock.wallMs())), { signal });
  } catch (error) {
    if (!stop.aborted) logger.warn("a shipment could not be looked up: it is due again later", { orderId, error });
  }
}
