import type { ClusterView } from "../snapshot/snapshot.js";
import type { EndpointReport } from "./endpoint-set.js";

/** What keeps one cluster up to date. */
export interface ClusterSource extends Disposable {
  readonly name: string;
  /** The cluster as it stands; the identical object as long as nothing changed. */
  readonly view: ClusterView;
  readonly balancer: string;
  endpoints(): readonly EndpointReport[];
}
