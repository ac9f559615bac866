import type { Clock } from "@weft/foundation";
import type { ResourceState, ResourceSubscription } from "@weft/xds";
import { balancerOf } from "../balancer/balancers.js";
import type { ClusterConfig } from "../resources/cluster.js";
import type { EndpointsConfig } from "../resources/endpoints.js";
import type { ClusterView } from "../snapshot/snapshot.js";
import type { SubchannelPool } from "../subchannel/pool.js";
import type { ClusterSource } from "./cluster-source.js";
import type { ConfigSource } from "./config-source.js";
import { type EndpointReport, EndpointSet } from "./endpoint-set.js";

/** A cluster that the control plane describes: CDS, then EDS under the name that CDS gives. */
export class XdsCluster implements ClusterSource {
  readonly name: string;
  readonly #source: ConfigSource;
  readonly #onChange: () => void;
  readonly #set: EndpointSet;
  readonly #cluster: ResourceSubscription<ClusterConfig>;
  readonly #clusterChanges: Disposable;
  #endpoints:
    | {
        readonly name: string;
        readonly subscription: ResourceSubscription<EndpointsConfig>;
        readonly changes: Disposable;
      }
    | undefined;
  #view: ClusterView | undefined;

  constructor(options: {
    readonly name: string;
    readonly source: ConfigSource;
    readonly pool: SubchannelPool;
    readonly clock: Clock;
    readonly random: () => number;
    readonly onChange: () => void;
  }) {
    this.name = options.name;
    this.#source = options.source;
    this.#onChange = options.onChange;
    this.#set = new EndpointSet({ ...options, onChange: () => this.#invalidate() });
    this.#cluster = options.source.clusters.subscribe(options.name);
    this.#clusterChanges = this.#cluster.state.subscribe(() => this.#refresh());
    this.#refresh();
  }

  get view(): ClusterView {
    this.#view ??= this.#makeView();
    return this.#view;
  }

  get balancer(): string {
    const state = this.#cluster.state.value;
    return state.t === "present" ? state.value.balancer.name : "";
  }

  endpoints(): readonly EndpointReport[] {
    return this.#set.reports();
  }

  [Symbol.dispose](): void {
    this.#clusterChanges[Symbol.dispose]();
    this.#cluster[Symbol.dispose]();
    this.#leaveEndpoints();
    this.#set[Symbol.dispose]();
  }

  #refresh(): void {
    const cluster = this.#cluster.state.value;
    if (cluster.t !== "present") {
      this.#leaveEndpoints();
      this.#invalidate();
      return;
    }
    const name = cluster.value.endpointsName;
    if (this.#endpoints?.name !== name) {
      this.#leaveEndpoints();
      const subscription = this.#source.endpoints.subscribe(name);
      this.#endpoints = { name, subscription, changes: subscription.state.subscribe(() => this.#refresh()) };
    }
    const endpoints = this.#endpoints?.subscription.state.value;
    // What is not known yet takes nothing away: the endpoints in use stay until the new ones are there.
    if (endpoints !== undefined && endpoints.t !== "pending") {
      this.#set.update(placed(endpoints), balancerOf(cluster.value.balancer), cluster.value.connectTimeoutMs);
    }
    this.#invalidate();
  }

  #leaveEndpoints(): void {
    this.#endpoints?.changes[Symbol.dispose]();
    this.#endpoints?.subscription[Symbol.dispose]();
    this.#endpoints = undefined;
  }

  #invalidate(): void {
    this.#view = undefined;
    this.#onChange();
  }

  #makeView(): ClusterView {
    const what = `cluster ${JSON.stringify(this.name)}`;
    const cluster = this.#cluster.state.value;
    if (cluster.t === "pending") return { t: "pending", missing: what };
    if (cluster.t === "absent") return { t: "failed", message: `${what} does not exist` };
    if (cluster.t === "refused") return { t: "failed", message: `${what} was refused: ${cluster.error}` };
    const endpoints = this.#endpoints?.subscription.state.value;
    if (endpoints?.t === "refused")
      return { t: "failed", message: `endpoints of ${what} were refused: ${endpoints.error}` };
    return this.#set.view ?? { t: "pending", missing: `endpoints of ${what}` };
  }
}

function placed(endpoints: ResourceState<EndpointsConfig>) {
  if (endpoints.t !== "present") return [];
  return endpoints.value.endpoints.filter(({ usable }) => usable).map((endpoint) => ({ ...endpoint, pinged: true }));
}
