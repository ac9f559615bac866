import { type Clock, type Logger, Scope, sleep, type Watch } from "@weft/foundation";
import type { SavedResources } from "@weft/xds";
import type { SnapshotStore } from "./store.js";

/** Changes that come closer together than this are written once. */
const settleMs = 50;

/** Writes every change down until disposed, and the last one then too. */
export function keepSaved(options: {
  readonly accepted: Watch<SavedResources>;
  readonly store: SnapshotStore;
  readonly clock: Clock;
  readonly logger: Logger;
}): AsyncDisposable {
  const { accepted, store, clock, logger } = options;
  const scope = new Scope();
  let written = accepted.value;
  let failed = false;
  const write = async (): Promise<void> => {
    const next = accepted.value;
    if (next === written) return;
    try {
      await store.save(next);
      written = next;
      failed = false;
    } catch (error) {
      // Calls go on without it; the next change tries again.
      if (!failed) logger.error("snapshot cannot be saved", { error });
      failed = true;
    }
  };
  scope.spawn(async (signal) => {
    for await (const _ of accepted.changes(signal)) {
      await write();
      await sleep(settleMs, { clock, signal });
    }
  });
  return {
    async [Symbol.asyncDispose]() {
      await scope[Symbol.asyncDispose]();
      await write();
    },
  };
}
