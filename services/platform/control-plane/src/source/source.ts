import type { EndpointGroup, NodePlace } from "../model/endpoints.js";
import type { RouteKey, ServiceKey } from "../model/keys.js";
import type { Grant, MeshRoute } from "../model/route.js";
import type { MeshService } from "../model/service.js";

/** One thing that is now so; without a value it is gone. Keys of slices, nodes and grants are opaque. */
export type Change =
  | { readonly kind: "service"; readonly key: ServiceKey; readonly value: MeshService | undefined }
  | { readonly kind: "endpoints"; readonly key: string; readonly value: EndpointGroup | undefined }
  | { readonly kind: "node"; readonly key: string; readonly value: NodePlace | undefined }
  | { readonly kind: "route"; readonly key: RouteKey; readonly value: MeshRoute | undefined }
  | { readonly kind: "grant"; readonly key: string; readonly value: Grant | undefined };

/** Who is told. Called synchronously and in order. */
export interface SourceSink {
  /** Also called with no changes, when less is waited for than before. */
  changed(changes: readonly Change[]): void;
  /** Every kind has been listed once. Called once; what changed before it has been told. */
  synced(): void;
}

/** Where the state of the cluster comes from. Dispose to stop watching. */
export interface Source extends AsyncDisposable {
  /** Identity of the cluster: equal for all control planes whose versions can be compared. Waits until it is known. */
  clusterId(signal: AbortSignal): Promise<string>;
  /** The highest resourceVersion of which the sink has been told everything, as far as can be known; never lower than before. */
  version(): bigint;
  /** Kinds that have not been listed yet, for `/readyz`. */
  waitingFor(): readonly string[];
  /** Starts telling. Called once. */
  start(sink: SourceSink): void;
}
