import {
  type RetryPolicy as RetryPolicyProto,
  type RouteAction as RouteActionProto,
  type RouteConfiguration,
  RouteConfigurationSchema,
  type RouteMatch,
  type Route as RouteProto,
  type VirtualHost as VirtualHostProto,
  type WeightedCluster_ClusterWeight,
} from "@weft/contracts/envoy/config/route/v3";
import { FractionalPercent_DenominatorType as Denominator } from "@weft/contracts/envoy/type/v3";
import { type Parsed, parsed, refused } from "@weft/foundation";
import { StatusCode } from "@weft/wire";
import type { RetryPolicy } from "../call/retry-policy.js";
import { chainHeaderChanges, compileHeaderChange, type HeaderChange } from "../route/header-changes.js";
import { compileHeaderMatch, type HeaderMatch } from "../route/header-match.js";
import type {
  CallHead,
  ForwardAction,
  Route,
  RouteAction,
  RouteConfig,
  VirtualHost,
  WeightedCluster,
} from "../route/route.js";
import { compileRegex, type StringMatch } from "../route/string-match.js";
import { durationMs } from "./duration.js";
import { resourceType } from "./resource-type.js";

/** RDS. A configuration with one rule that cannot be understood is refused whole: leaving the rule out would send its calls elsewhere. */
export const routeConfigType = resourceType({
  schema: RouteConfigurationSchema,
  complete: false,
  name: (message) => message.name,
  parse: parseRouteConfig,
});

/** Checks and compiles a route configuration. */
export function parseRouteConfig(message: RouteConfiguration): Parsed<RouteConfig> {
  const virtualHosts = all(
    message.virtualHosts,
    (host) => `virtual host ${JSON.stringify(host.name)}`,
    parseVirtualHost,
  );
  return virtualHosts.ok ? parsed({ name: message.name, virtualHosts: virtualHosts.value }) : virtualHosts;
}

function parseVirtualHost(host: VirtualHostProto): Parsed<VirtualHost> {
  if (host.domains.length === 0) return refused("no domains");
  const fallback = host.retryPolicy === undefined ? undefined : parseRetryPolicy(host.retryPolicy);
  const routes = all(
    host.routes,
    (route, index) => `route ${JSON.stringify(route.name || `#${index + 1}`)}`,
    (route) => parseRoute(route, fallback),
  );
  return routes.ok ? parsed({ name: host.name, domains: host.domains, routes: routes.value }) : routes;
}

function parseRoute(route: RouteProto, fallback: RetryPolicy | undefined): Parsed<Route> {
  if (route.match === undefined) return refused("no match");
  const matches = compileMatch(route.match);
  if (!matches.ok) return matches;
  const action = parseAction(route, fallback);
  if (!action.ok) return action;
  return parsed({ name: route.name, matches: matches.value, action: action.value });
}

function compileMatch(match: RouteMatch): Parsed<Route["matches"]> {
  if (match.$unknown !== undefined) return refused("the match looks at something this client does not know");
  const path = compilePath(match);
  if (!path.ok) return path;
  const headers: HeaderMatch[] = [];
  for (const matcher of match.headers) {
    const header = compileHeaderMatch(matcher);
    if (!header.ok) return header;
    headers.push(header.value);
  }
  const share = parseShare(match);
  if (!share.ok) return share;
  const [takesPath, taken] = [path.value, share.value];
  return parsed((call: CallHead, random: () => number) => {
    if (!takesPath(call.path)) return false;
    for (const header of headers) if (!header(call.metadata)) return false;
    return taken >= 1 || random() < taken;
  });
}

function compilePath(match: RouteMatch): Parsed<StringMatch> {
  const specifier = match.pathSpecifier;
  if (specifier.case === undefined) return refused("no path match, or one of an unknown kind");
  if (specifier.case === "safeRegex") return compileRegex(specifier.value.regex);
  const caseSensitive = match.caseSensitive ?? true;
  const fold = caseSensitive ? (text: string) => text : (text: string) => text.toLowerCase();
  const wanted = fold(specifier.value);
  if (specifier.case === "path") return parsed((path) => fold(path) === wanted);
  if (wanted === "" || wanted === "/") return parsed(() => true);
  return parsed((path) => fold(path).startsWith(wanted));
}

function parseShare(match: RouteMatch): Parsed<number> {
  if (match.runtimeFraction === undefined) return parsed(1);
  const fraction = match.runtimeFraction.defaultValue;
  if (fraction === undefined) return refused("runtime_fraction has no value");
  const parts = { [Denominator.HUNDRED]: 100, [Denominator.TEN_THOUSAND]: 10_000, [Denominator.MILLION]: 1_000_000 };
  const whole = parts[fraction.denominator];
  return whole === undefined
    ? refused("runtime_fraction has an unknown denominator")
    : parsed(fraction.numerator / whole);
}

function parseAction(route: RouteProto, fallback: RetryPolicy | undefined): Parsed<RouteAction> {
  if (route.action.case === undefined) return refused("no action, or one of an unknown kind");
  if (route.action.case === "nonForwardingAction") return parsed({ t: "refuse" });
  const action = route.action.value;
  const request = compileHeaderChange(route.requestHeadersToAdd, route.requestHeadersToRemove);
  if (!request.ok) return request;
  const response = compileHeaderChange(route.responseHeadersToAdd, route.responseHeadersToRemove);
  if (!response.ok) return response;
  const clusters = parseClusters(action, request.value, response.value);
  if (!clusters.ok) return clusters;
  const totalWeight = clusters.value.reduce((sum, cluster) => sum + cluster.weight, 0);
  const forward: ForwardAction = {
    t: "forward",
    clusters: clusters.value,
    totalWeight,
    retry: action.retryPolicy === undefined ? fallback : parseRetryPolicy(action.retryPolicy),
    maxDurationMs: parseMaxDuration(action),
  };
  return parsed(forward);
}

function parseClusters(
  action: RouteActionProto,
  request: HeaderChange | undefined,
  response: HeaderChange | undefined,
): Parsed<readonly WeightedCluster[]> {
  const specifier = action.clusterSpecifier;
  switch (specifier.case) {
    case "cluster":
      if (specifier.value === "") return refused("the cluster has no name");
      return parsed([{ name: specifier.value, weight: 1, requestHeaders: request, responseHeaders: response }]);
    case "weightedClusters": {
      const clusters = all(
        specifier.value.clusters.filter((cluster) => (cluster.weight ?? 0) > 0),
        (cluster) => `cluster ${JSON.stringify(cluster.name)}`,
        (cluster) => parseWeightedCluster(cluster, request, response),
      );
      if (clusters.ok && clusters.value.length === 0) return refused("no cluster has a weight above 0");
      return clusters;
    }
    case undefined:
      return refused("no cluster, or a cluster chosen in an unknown way");
  }
}

function parseWeightedCluster(
  cluster: WeightedCluster_ClusterWeight,
  request: HeaderChange | undefined,
  response: HeaderChange | undefined,
): Parsed<WeightedCluster> {
  if (cluster.name === "") return refused("the cluster has no name");
  const ownRequest = compileHeaderChange(cluster.requestHeadersToAdd, cluster.requestHeadersToRemove);
  if (!ownRequest.ok) return ownRequest;
  const ownResponse = compileHeaderChange(cluster.responseHeadersToAdd, cluster.responseHeadersToRemove);
  if (!ownResponse.ok) return ownResponse;
  return parsed({
    name: cluster.name,
    weight: cluster.weight ?? 0,
    requestHeaders: chainHeaderChanges(ownRequest.value, request),
    responseHeaders: chainHeaderChanges(ownResponse.value, response),
  });
}

/** gRFC A31: the limit for calls that bring a deadline beats the general one; 0 means no limit. */
function parseMaxDuration(action: RouteActionProto): number | undefined {
  const limits = action.maxStreamDuration;
  const chosen = limits?.grpcTimeoutHeaderMax ?? limits?.maxStreamDuration;
  const limitMs = chosen === undefined ? 0 : durationMs(chosen);
  return limitMs === 0 ? undefined : limitMs;
}

/** The conditions of `retry_on` that mean something to gRPC (gRFC A44); others are Envoy's affair. */
const retryConditions: ReadonlyMap<string, StatusCode> = new Map([
  ["cancelled", StatusCode.cancelled],
  ["deadline-exceeded", StatusCode.deadlineExceeded],
  ["internal", StatusCode.internal],
  ["resource-exhausted", StatusCode.resourceExhausted],
  ["unavailable", StatusCode.unavailable],
]);

function parseRetryPolicy(policy: RetryPolicyProto): RetryPolicy {
  const codes = new Set<StatusCode>();
  for (const condition of policy.retryOn.split(",")) {
    const code = retryConditions.get(condition.trim());
    if (code !== undefined) codes.add(code);
  }
  const backOff = policy.retryBackOff;
  const baseMs = backOff?.baseInterval === undefined ? 25 : Math.max(1, durationMs(backOff.baseInterval));
  const maxMs = backOff?.maxInterval === undefined ? 10 * baseMs : Math.max(baseMs, durationMs(backOff.maxInterval));
  // As in gRPC, five attempts are the most.
  return { maxAttempts: Math.min(5, 1 + (policy.numRetries ?? 1)), codes, baseMs, maxMs };
}

/** Parses each item; the first error is told with where it was. */
function all<S, T>(
  items: readonly S[],
  where: (item: S, index: number) => string,
  parse: (item: S) => Parsed<T>,
): Parsed<readonly T[]> {
  const values: T[] = [];
  for (const [index, item] of items.entries()) {
    const result = parse(item);
    if (!result.ok) return refused(`${where(item, index)}: ${result.error}`);
    values.push(result.value);
  }
  return parsed(values);
}
