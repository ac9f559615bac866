import type { Node } from "@weft/contracts/envoy/config/core/v3";
import type { EncodedResource } from "../resource.js";
import type { TypeUrl } from "../type-urls.js";

/** Everything that one group of clients may ask for, at one moment. Immutable. */
export interface Snapshot {
  /** Sent as `version_info`: a decimal number that never goes down. */
  readonly version: string;
  /** What a wildcard subscription gets. */
  all(type: TypeUrl): Iterable<EncodedResource>;
  /** A resource by name. May be made on request, if equal names always give equal resources. */
  get(type: TypeUrl, name: string): EncodedResource | undefined;
}

/** Where cache and server meet. */
export interface SnapshotCache {
  /** The newest snapshot for this client; `undefined` while there is none, and then its stream ends UNAVAILABLE. */
  snapshotFor(node: Node): Snapshot | undefined;
  /** Calls `listener` after each change of any snapshot. Dispose to stop. */
  watch(listener: () => void): Disposable;
}
