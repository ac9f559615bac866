import { type Clock, type Logger, sleep } from "@weft/foundation";
import type { LabelStore } from "./store.js";

export interface CarrierParts {
  readonly store: Pick<LabelStore, "handOver" | "pruneForbidden">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long after its label was made a shipment is picked up; 0: never. */
  readonly pickupAfterMs: number;
  /** How long a key stays forbidden that was cancelled before it was used. */
  readonly tombstonesMs: number;
  readonly everyMs?: number;
}

const atOnce = 100;

/**
 * A carrier that moves nothing: it picks up what was labelled some time ago, until the signal aborts. From then on a label cannot be cancelled. Any
 * replica plays it, and each shipment is picked up once. It also forgets old forbidden keys.
 */
export async function playCarrier(parts: CarrierParts, signal: AbortSignal): Promise<void> {
  const { store, clock, logger, pickupAfterMs, tombstonesMs, everyMs = 5_000 } = parts;
  while (!signal.aborted) {
    try {
      while (
        pickupAfterMs > 0 &&
        !signal.aborted &&
        (await store.handOver(pickupAfterMs, atOnce, { signal })) === atOnce
      );
      while (!signal.aborted && (await store.pruneForbidden(tombstonesMs, { signal })) === 1_000);
    } catch (error) {
      // The carrier comes again.
      if (!signal.aborted) logger.warn("the carrier could not pick up", { error });
    }
    // Aborted: the loop's condition ends it.
    await sleep(everyMs, { clock, signal }).catch(() => {});
  }
}
