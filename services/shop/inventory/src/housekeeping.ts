import { InventoryService } from "@weft/contracts/shop/inventory/v1";
import { type Clock, type Logger, sleep } from "@weft/foundation";
import type { Database, Idempotency } from "@weft/store";
import type { InventoryStore } from "./store.js";

export interface HousekeepingParts {
  readonly database: Database;
  readonly store: InventoryStore;
  readonly idempotency: Idempotency;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long a reservation may be held. */
  readonly holdMs: number;
  /** How long a key stays forbidden that was released before it was used. */
  readonly tombstonesMs: number;
  readonly everyMs?: number;
}

const atOnce = 20;

/**
 * Releases what has been held for too long, as if its maker had by its id: an order that vanished takes nothing off the shelf for ever. Gives how many
 * reservations that were. Two replicas at the same time release each once.
 */
export async function releaseLapsed(parts: HousekeepingParts, signal: AbortSignal): Promise<number> {
  const { database, store, idempotency, holdMs, logger } = parts;
  const method = InventoryService.method.reserve;
  return database.transaction(
    async (tx) => {
      const lapsed = await store.lockLapsed(tx, holdMs, atOnce);
      // All of them before the first changes: whoever reserves takes products in the same order, and never waits for what waits for it.
      await store.lockStock(
        tx,
        lapsed.flatMap(({ lines }) => lines.map((line) => line.productId)),
      );
      for (const reservation of lapsed) {
        const { reservationId, principal, reserveKey } = reservation;
        await idempotency.forget(tx, { method, principal, key: reserveKey });
        await store.end(tx, reservation, "released");
        logger.warn("a reservation lapsed: nobody committed or released it", { reservationId });
      }
      return lapsed.length;
    },
    { bounds: { signal } },
  );
}

/** Does the inventory's background work until the signal aborts; any replica does. */
export async function keepHouse(parts: HousekeepingParts, signal: AbortSignal): Promise<void> {
  const { store, tombstonesMs, clock, logger, everyMs = 60_000 } = parts;
  while (!signal.aborted) {
    try {
      while (!signal.aborted && (await releaseLapsed(parts, signal)) === atOnce);
      while (!signal.aborted && (await store.pruneForbidden(tombstonesMs, { signal })) === 1_000);
    } catch (error) {
      // The next round does it.
      if (!signal.aborted) logger.warn("old reservations and keys could not be looked after", { error });
    }
    // Aborted: the loop's condition ends it.
    await sleep(everyMs, { clock, signal }).catch(() => {});
  }
}
