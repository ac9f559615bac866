import { type Brand, brandMaker } from "@weft/foundation";

/** `namespace/name` of a Service. */
export type ServiceKey = Brand<string, "ServiceKey">;
/** `namespace/name` of a GRPCRoute. */
export type RouteKey = Brand<string, "RouteKey">;

// A namespace never holds a slash; a name in a reference may hold anything, and then names nothing.
const twoParts = (value: string): string | undefined =>
  /^[^/]+\/./s.test(value) ? undefined : "is not namespace/name";
const makeServiceKey = brandMaker<ServiceKey>("ServiceKey", twoParts);
const makeRouteKey = brandMaker<RouteKey>("RouteKey", twoParts);

export function serviceKey(namespace: string, name: string): ServiceKey {
  return makeServiceKey(`${namespace}/${name}`);
}

export function routeKey(namespace: string, name: string): RouteKey {
  return makeRouteKey(`${namespace}/${name}`);
}

/** The parts of a key. */
export function keyParts(key: ServiceKey | RouteKey): { readonly namespace: string; readonly name: string } {
  const slash = key.indexOf("/");
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
