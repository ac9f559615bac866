import { type Clock, type Logger, type Watch, WatchSource } from "@weft/foundation";
import type { ResourceState, ResourceSubscription } from "@weft/xds";
import type { ListenerConfig } from "../resources/listener.js";
import { type ClusterView, emptySnapshot, type Snapshot, type TargetView } from "../snapshot/snapshot.js";
import type { SubchannelPool } from "../subchannel/pool.js";
import type { Target } from "../target.js";
import type { ClusterSource } from "./cluster-source.js";
import type { ConfigSource } from "./config-source.js";
import { DnsCluster, type Lookup } from "./dns-cluster.js";
import type { EndpointReport } from "./endpoint-set.js";
import { type ClusterLease, DirectTarget, type TargetSource, XdsTarget } from "./target-source.js";
import { XdsCluster } from "./xds-cluster.js";

/** A target for reports. */
export interface TargetReport {
  readonly target: string;
  readonly state: "pending" | "ready" | "failed";
  /** What is missing or wrong. */
  readonly reason: string | undefined;
  readonly clusters: readonly {
    readonly name: string;
    readonly state: "pending" | "ready" | "failed";
    readonly balancer: string;
    readonly endpoints: readonly EndpointReport[];
  }[];
}

interface ClusterSlot {
  readonly cluster: ClusterSource;
  leases: number;
}

export interface ResolverOptions {
  /** `undefined` when there is no control plane: then only targets outside the mesh can be resolved. */
  readonly source: ConfigSource | undefined;
  readonly pool: SubchannelPool;
  readonly lookup: Lookup;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

/**
 * Names → listener → routes → clusters → endpoints. The only writer of snapshots: changes are collected for a tick,
 * then the next snapshot is built and one pointer is swapped.
 */
export class Resolver implements Disposable {
  readonly #options: ResolverOptions;
  readonly #snapshot = new WatchSource<Snapshot>(emptySnapshot);
  readonly #targets = new Map<string, TargetSource>();
  readonly #clusters = new Map<string, ClusterSlot>();
  readonly #servers = new Map<string, ResourceSubscription<ListenerConfig>>();
  #buildDue = false;
  #over = false;

  constructor(options: ResolverOptions) {
    this.#options = options;
  }

  get snapshot(): Watch<Snapshot> {
    return this.#snapshot;
  }

  /** Starts to resolve a target, once; it is kept up to date from then on. */
  add(target: Target): void {
    if (this.#targets.has(target.key) || this.#over) return;
    const source = this.#createTarget(target);
    if (source === undefined) return;
    this.#targets.set(target.key, source);
    this.#build();
  }

  /** Asks for the listener of a server of this process: its answer is the first sign of a control plane to a process that calls nobody. */
  addServer(name: string): void {
    const { source } = this.#options;
    if (source === undefined || this.#servers.has(name) || this.#over) return;
    const subscription = source.listeners.subscribe(name);
    // Ends with the source: a subscription without readers costs nothing.
    subscription.state.subscribe(() => this.#changed());
    this.#servers.set(name, subscription);
    this.#build();
  }

  reports(): readonly TargetReport[] {
    return [...this.#targets].map(([target, source]) => {
      const view = this.#snapshot.value.targets.get(target) ?? { t: "pending", missing: "its first snapshot" };
      return {
        target,
        state: view.t,
        reason: view.t === "pending" ? view.missing : view.t === "failed" ? view.message : undefined,
        clusters: source.clusters().map((cluster) => ({
          name: cluster.name,
          state: cluster.view.t,
          balancer: cluster.balancer,
          endpoints: cluster.endpoints(),
        })),
      };
    });
  }

  [Symbol.dispose](): void {
    this.#over = true;
    for (const target of this.#targets.values()) target[Symbol.dispose]();
    this.#targets.clear();
    for (const server of this.#servers.values()) server[Symbol.dispose]();
    this.#servers.clear();
    this.#snapshot.set(emptySnapshot);
  }

  #createTarget(target: Target): TargetSource | undefined {
    if (target.t === "dns") {
      const create = (): ClusterSource =>
        new DnsCluster({ ...this.#options, name: target.key, target, onChange: () => this.#changed() });
      return new DirectTarget(target.key, this.#lease(target.key, create));
    }
    const { source } = this.#options;
    if (source === undefined) return undefined;
    return new XdsTarget({
      name: target.key,
      source,
      lease: (name) =>
        this.#lease(name, () => new XdsCluster({ ...this.#options, source, name, onChange: () => this.#changed() })),
      onChange: () => this.#changed(),
    });
  }

  #lease(name: string, create: () => ClusterSource): ClusterLease {
    const slot = this.#clusters.get(name) ?? { cluster: create(), leases: 0 };
    this.#clusters.set(name, slot);
    slot.leases += 1;
    let over = false;
    return {
      cluster: slot.cluster,
      [Symbol.dispose]: () => {
        if (over) return;
        over = true;
        slot.leases -= 1;
        if (slot.leases > 0) return;
        this.#clusters.delete(name);
        slot.cluster[Symbol.dispose]();
      },
    };
  }

  #changed(): void {
    if (this.#buildDue || this.#over) return;
    this.#buildDue = true;
    queueMicrotask(() => {
      this.#buildDue = false;
      if (!this.#over) this.#build();
    });
  }

  #build(): void {
    const targets = new Map<string, TargetView>();
    for (const [name, target] of this.#targets) targets.set(name, target.advance());
    const clusters = new Map<string, ClusterView>();
    for (const [name, { cluster }] of this.#clusters) clusters.set(name, cluster.view);
    const serverReasons = [...this.#servers].flatMap(([name, { state }]) => reasonsOf(name, state.value));
    const before = this.#snapshot.value;
    const sameServers = serverReasons.join() === before.serverReasons.join();
    if (sameServers && sameEntries(targets, before.targets) && sameEntries(clusters, before.clusters)) return;
    this.#snapshot.set({ targets, clusters, serverReasons });
  }
}

function reasonsOf(name: string, listener: ResourceState<ListenerConfig>): readonly string[] {
  if (listener.t === "pending") return [`server waits for listener ${JSON.stringify(name)}`];
  // A rule that is not understood may be what guards the service: it is not served without.
  if (listener.t === "refused") return [`listener ${JSON.stringify(name)} was refused: ${listener.error}`];
  return [];
}

function sameEntries<V>(a: ReadonlyMap<string, V>, b: ReadonlyMap<string, V>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}
