import type { Metadata } from "@weft/wire";
import type { RetryPolicy } from "../call/retry-policy.js";
import type { HeaderChange } from "./header-changes.js";

/** What routes look at. */
export interface CallHead {
  /** `/package.Service/Method` */
  readonly path: string;
  readonly metadata: Metadata;
}

/** A compiled route configuration: everything that can be worked out before a call has been. */
export interface RouteConfig {
  readonly name: string;
  readonly virtualHosts: readonly VirtualHost[];
}

export interface VirtualHost {
  readonly name: string;
  readonly domains: readonly string[];
  /** The first that matches is taken. */
  readonly routes: readonly Route[];
}

export interface Route {
  /** As the control plane names it; empty when it does not. */
  readonly name: string;
  matches(call: CallHead, random: () => number): boolean;
  readonly action: RouteAction;
}

export type RouteAction =
  | ForwardAction
  /** The route is one of a server (`non_forwarding_action`): a client that meets it fails the call. */
  | { readonly t: "refuse" };

export interface ForwardAction {
  readonly t: "forward";
  /** At least one, each with a weight above 0. */
  readonly clusters: readonly WeightedCluster[];
  readonly totalWeight: number;
  /** The route's own; `undefined` means the mesh's default. */
  readonly retry: RetryPolicy | undefined;
  /** Longest time a call may take, whatever its deadline; `undefined` means no limit. */
  readonly maxDurationMs: number | undefined;
}

export interface WeightedCluster {
  readonly name: string;
  readonly weight: number;
  readonly requestHeaders: HeaderChange | undefined;
  readonly responseHeaders: HeaderChange | undefined;
}

/** Picks a cluster by weight; `random` gives a number in [0, 1). */
export function pickCluster(action: ForwardAction, random: () => number): WeightedCluster | undefined {
  const first = action.clusters[0];
  if (action.clusters.length === 1) return first;
  let point = random() * action.totalWeight;
  for (const cluster of action.clusters) {
    point -= cluster.weight;
    if (point < 0) return cluster;
  }
  return first;
}

/** The first route that takes the call. */
export function findRoute(host: VirtualHost, call: CallHead, random: () => number): Route | undefined {
  for (const route of host.routes) if (route.matches(call, random)) return route;
  return undefined;
}

/**
 * The virtual host for an authority: an exact domain beats `*.suffix`, that beats `prefix.*`, and `*` comes last;
 * among wildcards the longest wins (Envoy, gRFC A27).
 */
export function findVirtualHost(config: RouteConfig, authority: string): VirtualHost | undefined {
  const wanted = authority.toLowerCase();
  let best: { readonly host: VirtualHost; readonly rank: number; readonly length: number } | undefined;
  for (const host of config.virtualHosts) {
    for (const domain of host.domains) {
      const rank = domainRank(domain.toLowerCase(), wanted);
      if (rank === 0) continue;
      if (best === undefined || rank > best.rank || (rank === best.rank && domain.length > best.length)) {
        best = { host, rank, length: domain.length };
      }
    }
  }
  return best?.host;
}

function domainRank(domain: string, authority: string): number {
  if (domain === authority) return 4;
  if (domain === "*") return 1;
  if (domain.startsWith("*") && authority.length >= domain.length && authority.endsWith(domain.slice(1))) return 3;
  if (domain.endsWith("*") && authority.length >= domain.length && authority.startsWith(domain.slice(0, -1))) return 2;
  return 0;
}
