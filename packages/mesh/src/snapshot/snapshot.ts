import type { Picker } from "../balancer/picker.js";
import type { VirtualHost } from "../route/route.js";
import type { Subchannel } from "../subchannel/subchannel.js";

/**
 * Everything that a call reads, immutable. The config path builds the next one and swaps one pointer;
 * the call path never waits for it once its target is ready.
 */
export interface Snapshot {
  /** By listener name, or by the whole of a `dns:///` target. */
  readonly targets: ReadonlyMap<string, TargetView>;
  readonly clusters: ReadonlyMap<string, ClusterView>;
  /** Why servers of this process are not ready: no control plane has answered for them, or what it said was refused. */
  readonly serverReasons: readonly string[];
}

export type TargetView =
  /** Nothing to route by yet; `missing` says what has not arrived. */
  | { readonly t: "pending"; readonly missing: string }
  | { readonly t: "ready"; readonly host: VirtualHost }
  | { readonly t: "failed"; readonly message: string };

export type ClusterView =
  | { readonly t: "pending"; readonly missing: string }
  | {
      readonly t: "ready";
      readonly picker: Picker<Subchannel>;
      /** Since when no endpoint can be reached; `Infinity` while one can. Monotonic milliseconds. */
      readonly downSinceMs: number;
    }
  | { readonly t: "failed"; readonly message: string };

export const emptySnapshot: Snapshot = { targets: new Map(), clusters: new Map(), serverReasons: [] };
