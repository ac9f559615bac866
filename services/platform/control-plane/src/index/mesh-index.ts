import type { EndpointGroup, NodePlace } from "../model/endpoints.js";
import { keyParts, type RouteKey, type ServiceKey, serviceKey } from "../model/keys.js";
import type { Grant, MeshRoute } from "../model/route.js";
import type { MeshService } from "../model/service.js";
import type { MeshView } from "../model/view.js";
import type { Change } from "../source/source.js";
import { Relation } from "./relation.js";

/** What a change means for what is published. */
export interface Touched {
  /** Services whose resources, or whose routes' outcomes, may be other than they were. */
  readonly services: ReadonlySet<ServiceKey>;
  /** An address can no longer be called: everybody must hear of it now. */
  readonly urgent: boolean;
}

/** Everything that is known. One writer applies changes; translation reads. */
export class MeshIndex implements MeshView {
  readonly #services = new Map<ServiceKey, MeshService>();
  readonly #groups = new Map<string, EndpointGroup>();
  readonly #nodes = new Map<string, NodePlace>();
  readonly #routes = new Map<RouteKey, MeshRoute>();
  readonly #grants = new Map<string, Grant>();
  readonly #groupsOf = new Relation<ServiceKey, string>();
  readonly #groupsOn = new Relation<string, string>();
  readonly #routesAt = new Relation<ServiceKey, RouteKey>();
  readonly #routesTo = new Relation<ServiceKey, RouteKey>();

  /** Takes one change and says what it touches. */
  apply(change: Change): Touched {
    switch (change.kind) {
      case "service":
        return calm(this.#applyService(change.key, change.value));
      case "endpoints":
        return this.#applyEndpoints(change.key, change.value);
      case "node":
        return calm(this.#applyNode(change.key, change.value));
      case "route":
        return calm(this.#applyRoute(change.key, change.value));
      case "grant":
        return calm(this.#applyGrant(change.key, change.value));
    }
  }

  /** Every Service that has resources or routes. */
  allServices(): ReadonlySet<ServiceKey> {
    return new Set([...this.#services.keys(), ...this.#routesAt.keys()]);
  }

  route(key: RouteKey): MeshRoute | undefined {
    return this.#routes.get(key);
  }

  service(key: ServiceKey): MeshService | undefined {
    return this.#services.get(key);
  }

  *endpointsOf(key: ServiceKey): Iterable<EndpointGroup> {
    for (const name of this.#groupsOf.get(key)) {
      const group = this.#groups.get(name);
      if (group !== undefined) yield group;
    }
  }

  node(name: string): NodePlace | undefined {
    return this.#nodes.get(name);
  }

  *routesOf(key: ServiceKey): Iterable<MeshRoute> {
    for (const name of this.#routesAt.get(key)) {
      const route = this.#routes.get(name);
      if (route !== undefined) yield route;
    }
  }

  isGranted(fromNamespace: string, service: ServiceKey): boolean {
    const { namespace, name } = keyParts(service);
    for (const grant of this.#grants.values()) {
      if (grant.namespace !== namespace || !grant.fromNamespaces.includes(fromNamespace)) continue;
      if (grant.services.t === "all" || grant.services.names.has(name)) return true;
    }
    return false;
  }

  #applyService(key: ServiceKey, value: MeshService | undefined): Set<ServiceKey> {
    put(this.#services, key, value);
    const touched = new Set([key]);
    for (const route of this.#routesTo.get(key)) this.#touchParents(route, touched);
    return touched;
  }

  #applyEndpoints(key: string, value: EndpointGroup | undefined): Touched {
    const before = this.#groups.get(key);
    put(this.#groups, key, value);
    this.#groupsOf.replace(key, before && [before.service], value && [value.service]);
    this.#groupsOn.replace(key, before && nodesOf(before), value && nodesOf(value));
    const services = new Set<ServiceKey>();
    for (const group of [before, value]) if (group !== undefined) services.add(group.service);
    return { services, urgent: loses(before, value) };
  }

  #applyNode(key: string, value: NodePlace | undefined): Set<ServiceKey> {
    const before = this.#nodes.get(key);
    put(this.#nodes, key, value);
    const touched = new Set<ServiceKey>();
    // Nodes change all the time, their places hardly ever.
    if (before?.region === value?.region && before?.zone === value?.zone) return touched;
    for (const name of this.#groupsOn.get(key)) {
      const group = this.#groups.get(name);
      if (group !== undefined) touched.add(group.service);
    }
    return touched;
  }

  #applyRoute(key: RouteKey, value: MeshRoute | undefined): Set<ServiceKey> {
    const before = this.#routes.get(key);
    const touched = new Set<ServiceKey>();
    if (before !== undefined) this.#touchParents(key, touched);
    put(this.#routes, key, value);
    this.#routesAt.replace(key, before && parentsOf(before), value && parentsOf(value));
    this.#routesTo.replace(key, before && backendsOf(before), value && backendsOf(value));
    if (value !== undefined) this.#touchParents(key, touched);
    return touched;
  }

  #applyGrant(key: string, value: Grant | undefined): Set<ServiceKey> {
    const before = this.#grants.get(key);
    put(this.#grants, key, value);
    const touched = new Set<ServiceKey>();
    for (const [backend, routes] of this.#routesTo) {
      const { namespace } = keyParts(backend);
      if (namespace !== before?.namespace && namespace !== value?.namespace) continue;
      for (const route of routes) this.#touchParents(route, touched);
    }
    return touched;
  }

  #touchParents(key: RouteKey, touched: Set<ServiceKey>): void {
    for (const parent of this.#routes.get(key)?.parents ?? []) touched.add(parent.service);
  }
}

function calm(services: ReadonlySet<ServiceKey>): Touched {
  return { services, urgent: false };
}

function put<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

function nodesOf(group: EndpointGroup): string[] {
  return group.endpoints.map((endpoint) => endpoint.nodeName).filter((name) => name !== undefined);
}

function parentsOf(route: MeshRoute): ServiceKey[] {
  return route.parents.map((parent) => parent.service);
}

function backendsOf(route: MeshRoute): ServiceKey[] {
  return route.rules.flatMap((rule) => rule.backends.map(({ namespace, name }) => serviceKey(namespace, name)));
}

/** Whether a new group lacks, or no longer has as ready, an address that the old one had as ready. */
function loses(before: EndpointGroup | undefined, after: EndpointGroup | undefined): boolean {
  const ready = (group: EndpointGroup | undefined): Set<string> =>
    new Set((group?.endpoints ?? []).filter(({ state }) => state === "ready").map(({ address }) => address));
  const left = ready(after);
  for (const address of ready(before)) if (!left.has(address)) return true;
  return false;
}
