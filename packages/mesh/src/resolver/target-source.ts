import type { ResourceState, ResourceSubscription } from "@weft/xds";
import type { ListenerConfig } from "../resources/listener.js";
import { findVirtualHost, type RouteConfig, type VirtualHost } from "../route/route.js";
import type { TargetView } from "../snapshot/snapshot.js";
import type { ClusterSource } from "./cluster-source.js";
import type { ConfigSource } from "./config-source.js";

/** A use of a cluster; the last one out closes it. */
export interface ClusterLease extends Disposable {
  readonly cluster: ClusterSource;
}

/** What keeps one target up to date. */
export interface TargetSource extends Disposable {
  /** Takes what has changed into account and returns the target as it stands; the identical object as long as nothing changed. */
  advance(): TargetView;
  clusters(): readonly ClusterSource[];
}

/** A set of routes and the clusters that they name. */
interface Routing {
  readonly config: RouteConfig;
  readonly host: VirtualHost;
  readonly leases: readonly ClusterLease[];
}

/**
 * A target in the mesh: LDS, then RDS, then its clusters.
 * New routes come into use only when everything they name has an answer, so that a change never takes from calls what they have.
 */
export class XdsTarget implements TargetSource {
  readonly #name: string;
  readonly #source: ConfigSource;
  readonly #lease: (cluster: string) => ClusterLease;
  readonly #onChange: () => void;
  readonly #listener: ResourceSubscription<ListenerConfig>;
  readonly #listenerChanges: Disposable;
  #rds:
    | { readonly name: string; readonly subscription: ResourceSubscription<RouteConfig>; readonly changes: Disposable }
    | undefined;
  #current: Routing | undefined;
  #next: Routing | undefined;
  #view: TargetView;

  constructor(options: {
    readonly name: string;
    readonly source: ConfigSource;
    readonly lease: (cluster: string) => ClusterLease;
    readonly onChange: () => void;
  }) {
    this.#name = options.name;
    this.#source = options.source;
    this.#lease = options.lease;
    this.#onChange = options.onChange;
    this.#view = { t: "pending", missing: `listener ${JSON.stringify(options.name)}` };
    this.#listener = options.source.listeners.subscribe(options.name);
    this.#listenerChanges = this.#listener.state.subscribe(() => this.#onChange());
  }

  advance(): TargetView {
    const next = this.#advance();
    const before = this.#view;
    const same =
      (next.t === "ready" && before.t === "ready" && next.host === before.host) ||
      (next.t === "pending" && before.t === "pending" && next.missing === before.missing) ||
      (next.t === "failed" && before.t === "failed" && next.message === before.message);
    if (!same) this.#view = next;
    return this.#view;
  }

  clusters(): readonly ClusterSource[] {
    return [...(this.#current?.leases ?? []), ...(this.#next?.leases ?? [])].map(({ cluster }) => cluster);
  }

  [Symbol.dispose](): void {
    this.#listenerChanges[Symbol.dispose]();
    this.#listener[Symbol.dispose]();
    this.#leaveRds();
    this.#drop(this.#current);
    this.#drop(this.#next);
  }

  #advance(): TargetView {
    const listener = this.#listener.state.value;
    const what = `listener ${JSON.stringify(this.#name)}`;
    if (listener.t !== "present") {
      this.#leaveRds();
      return this.#without(listener, what);
    }
    if (listener.value.t === "server") {
      this.#use(undefined);
      return { t: "failed", message: `${what} is a server's` };
    }
    if (listener.value.t === "inline") {
      this.#leaveRds();
      return this.#route(listener.value.routeConfig);
    }
    const name = listener.value.routeConfigName;
    const routes = this.#routesOf(name);
    if (routes.t === "present") return this.#route(routes.value);
    // Until the new routes are there, the ones in use stay.
    if (routes.t === "pending" && this.#current !== undefined) return { t: "ready", host: this.#current.host };
    return this.#without(routes, `route configuration ${JSON.stringify(name)}`);
  }

  #without(state: Exclude<ResourceState<unknown>, { t: "present" }>, what: string): TargetView {
    this.#use(undefined);
    switch (state.t) {
      case "pending":
        return { t: "pending", missing: what };
      case "absent":
        return { t: "failed", message: `${what} does not exist` };
      case "refused":
        return { t: "failed", message: `${what} was refused: ${state.error}` };
    }
  }

  #route(config: RouteConfig): TargetView {
    if (this.#current?.config !== config && this.#next?.config !== config) {
      const host = findVirtualHost(config, this.#name);
      if (host === undefined) {
        this.#use(undefined);
        return {
          t: "failed",
          message: `route configuration ${JSON.stringify(config.name)} has no virtual host for ${JSON.stringify(this.#name)}`,
        };
      }
      const superseded = this.#next;
      this.#next = { config, host, leases: clusterNames(host).map((name) => this.#lease(name)) };
      this.#drop(superseded);
    } else if (this.#current?.config === config && this.#next !== undefined) {
      this.#drop(this.#next);
      this.#next = undefined;
    }
    const missing = this.#next?.leases.map(({ cluster }) => cluster.view).find((view) => view.t === "pending");
    if (this.#next !== undefined && missing === undefined) this.#use(this.#next);
    if (this.#current !== undefined) return { t: "ready", host: this.#current.host };
    return { t: "pending", missing: missing?.t === "pending" ? missing.missing : "routes" };
  }

  /** Makes `routing` the one in use; everything else is dropped. */
  #use(routing: Routing | undefined): void {
    const before = [this.#current, this.#next];
    this.#current = routing;
    this.#next = undefined;
    for (const old of before) if (old !== routing) this.#drop(old);
  }

  #drop(routing: Routing | undefined): void {
    for (const lease of routing?.leases ?? []) lease[Symbol.dispose]();
  }

  #routesOf(name: string): ResourceState<RouteConfig> {
    if (this.#rds?.name !== name) {
      this.#leaveRds();
      const subscription = this.#source.routeConfigs.subscribe(name);
      this.#rds = { name, subscription, changes: subscription.state.subscribe(() => this.#onChange()) };
    }
    return this.#rds?.subscription.state.value ?? { t: "pending" };
  }

  #leaveRds(): void {
    this.#rds?.changes[Symbol.dispose]();
    this.#rds?.subscription[Symbol.dispose]();
    this.#rds = undefined;
  }
}

function clusterNames(host: VirtualHost): readonly string[] {
  const names = new Set<string>();
  for (const { action } of host.routes)
    if (action.t === "forward") for (const { name } of action.clusters) names.add(name);
  return [...names];
}

/** A target outside the mesh: one route, one cluster of the same name. */
export class DirectTarget implements TargetSource {
  readonly #lease: ClusterLease;
  readonly #view: TargetView;

  constructor(name: string, lease: ClusterLease) {
    this.#lease = lease;
    const cluster = { name, weight: 1, requestHeaders: undefined, responseHeaders: undefined };
    const action = {
      t: "forward",
      clusters: [cluster],
      totalWeight: 1,
      retry: undefined,
      maxDurationMs: undefined,
    } as const;
    this.#view = { t: "ready", host: { name, domains: ["*"], routes: [{ name: "", matches: () => true, action }] } };
  }

  advance(): TargetView {
    return this.#view;
  }

  clusters(): readonly ClusterSource[] {
    return [this.#lease.cluster];
  }

  [Symbol.dispose](): void {
    this.#lease[Symbol.dispose]();
  }
}
