import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import type { RouteActionSchema, WeightedCluster_ClusterWeightSchema } from "@weft/contracts/envoy/config/route/v3";
import { type Route, RouteSchema } from "@weft/contracts/envoy/config/route/v3";
import { type Parsed, parsed, refused } from "@weft/foundation";
import type { MeshRoute, RouteBackend, RouteRule } from "../model/route.js";
import type { MeshView } from "../model/view.js";
import { resolveBackend } from "./backends.js";
import { compileFilters, type HeaderFields } from "./header-change.js";
import { noBackend } from "./names.js";
import { defaultRetry } from "./retry.js";
import { type CompiledMatch, compileMatch } from "./route-match.js";

/** One match of a rule with what happens to the calls that it takes. */
export interface CompiledRoute {
  readonly match: CompiledMatch;
  readonly message: Route;
}

/** All calls go to one cluster: what a Service does that has no routes. */
export function catchAll(cluster: string): Route {
  return create(RouteSchema, {
    name: "default",
    match: { pathSpecifier: { case: "prefix", value: "/" } },
    action: {
      case: "route",
      value: { clusterSpecifier: { case: "cluster", value: cluster }, retryPolicy: defaultRetry },
    },
  });
}

/**
 * Turns the rules of a route into Envoy routes, in the author's order.
 * One thing that is not understood refuses the route whole: half a route would send calls where nobody wanted them.
 */
export function compileRules(view: MeshView, route: MeshRoute): Parsed<readonly CompiledRoute[]> {
  if (route.rules.length === 0) return refused("the route has no rules");
  const compiled: CompiledRoute[] = [];
  for (const [index, rule] of route.rules.entries()) {
    const routes = compileRule(view, route, rule, index);
    if (!routes.ok) return refused(`rule ${index}: ${routes.error}`);
    compiled.push(...routes.value);
  }
  return parsed(compiled);
}

function compileRule(
  view: MeshView,
  route: MeshRoute,
  rule: RouteRule,
  index: number,
): Parsed<readonly CompiledRoute[]> {
  if (rule.unknown.length > 0) return refused(`${rule.unknown.join(", ")}: not supported`);
  const headers = compileFilters(rule.filters);
  if (!headers.ok) return headers;
  const action = compileAction(view, route, rule.backends);
  if (!action.ok) return action;
  const compiled: CompiledRoute[] = [];
  const matches = rule.matches.length === 0 ? [{ method: undefined, headers: [] }] : rule.matches;
  for (const [matchIndex, match] of matches.entries()) {
    const made = compileMatch(match);
    if (!made.ok) return refused(`match ${matchIndex}: ${made.error}`);
    const message = create(RouteSchema, {
      name: `${route.key}/${index}/${matchIndex}`,
      match: made.value.message,
      action: { case: "route", value: action.value },
      ...headers.value,
    });
    compiled.push({ match: made.value, message });
  }
  return parsed(compiled);
}

type Action = MessageInitShape<typeof RouteActionSchema>;
type Weight = MessageInitShape<typeof WeightedCluster_ClusterWeightSchema> & {
  readonly name: string;
  readonly weight: number;
};

function compileAction(view: MeshView, route: MeshRoute, backends: readonly RouteBackend[]): Parsed<Action> {
  const weights: Weight[] = [];
  for (const backend of backends) {
    const headers = compileFilters(backend.filters);
    if (!headers.ok) return refused(`backend ${JSON.stringify(backend.name)}: ${headers.error}`);
    const { cluster } = resolveBackend(view, route, backend);
    if (backend.weight > 0) addWeight(weights, { name: cluster, weight: backend.weight, ...headers.value });
  }
  const [only] = weights;
  if (only === undefined) {
    return parsed({ clusterSpecifier: { case: "cluster", value: noBackend }, retryPolicy: defaultRetry });
  }
  if (weights.length === 1 && !changesHeaders(only)) {
    return parsed({ clusterSpecifier: { case: "cluster", value: only.name }, retryPolicy: defaultRetry });
  }
  // Deprecated, so only where it matters: a stock client (grpc-js) takes 100 for the sum of all weights where it is absent.
  const sum = weights.reduce((total, { weight }) => total + weight, 0);
  const clusters = { clusters: weights, ...(sum === 100 ? {} : { totalWeight: sum }) };
  return parsed({
    clusterSpecifier: { case: "weightedClusters", value: clusters },
    retryPolicy: defaultRetry,
  });
}

/** Backends without filters that lead to the same cluster become one. */
function addWeight(weights: Weight[], next: Weight): void {
  const same = changesHeaders(next)
    ? -1
    : weights.findIndex((weight) => weight.name === next.name && !changesHeaders(weight));
  const known = weights[same];
  if (known === undefined) weights.push(next);
  else weights[same] = { ...known, weight: known.weight + next.weight };
}

function changesHeaders(fields: HeaderFields): boolean {
  return Object.keys(fields).some((name) => name.endsWith("ToAdd") || name.endsWith("ToRemove"));
}
