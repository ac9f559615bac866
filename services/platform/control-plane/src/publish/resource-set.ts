import { sameResource, sendOrder, type TypeUrl } from "@weft/xds";
import type { ServiceKey } from "../model/keys.js";
import { fixedResources, type Translation } from "../translate/translate.js";
import { encodeAll, encodeRoutes, type PublishedResource } from "./encode.js";

type ByName = ReadonlyMap<string, PublishedResource>;

/** What one Service brings, encoded. */
interface Contribution {
  readonly resources: readonly PublishedResource[];
  readonly consumers: ReadonlyMap<string, readonly PublishedResource[]>;
}

/** All resources at one moment. Immutable: a snapshot may go on being read while the next is made. */
export interface PublishedSet {
  readonly types: ReadonlyMap<TypeUrl, ByName>;
  /** Routes by the namespace of the clients that get them instead. */
  readonly consumers: ReadonlyMap<string, ByName>;
}

/** Puts the contributions of all Services together; what did not change keeps its identity. */
export class ResourceSet {
  readonly #contributions = new Map<ServiceKey, Contribution>();
  readonly #fixed = encodeAll(fixedResources);

  /** Replaces what a Service brings. */
  put(key: ServiceKey, translation: Translation): void {
    const before = this.#contributions.get(key);
    const consumers = new Map<string, readonly PublishedResource[]>();
    for (const [namespace, routes] of translation.consumerRoutes) {
      consumers.set(namespace, keepSame(routes.map(encodeRoutes), before?.consumers.get(namespace)));
    }
    const resources = keepSame(encodeAll(translation), before?.resources);
    if (resources.length === 0 && consumers.size === 0) this.#contributions.delete(key);
    else this.#contributions.set(key, { resources, consumers });
  }

  /** The whole as it is now. */
  freeze(): PublishedSet {
    const types = new Map(sendOrder.map((type) => [type, new Map<string, PublishedResource>()]));
    const consumers = new Map<string, Map<string, PublishedResource>>();
    const add = (resource: PublishedResource): void => void types.get(resource.type)?.set(resource.name, resource);
    this.#fixed.forEach(add);
    for (const contribution of this.#contributions.values()) {
      contribution.resources.forEach(add);
      for (const [namespace, routes] of contribution.consumers) {
        const own = consumers.get(namespace) ?? new Map<string, PublishedResource>();
        for (const resource of routes) own.set(resource.name, resource);
        consumers.set(namespace, own);
      }
    }
    return { types, consumers };
  }
}

function keepSame(
  next: readonly PublishedResource[],
  before: readonly PublishedResource[] = [],
): readonly PublishedResource[] {
  const old = new Map(before.map((resource) => [`${resource.type} ${resource.name}`, resource]));
  return next.map((resource) => {
    const known = old.get(`${resource.type} ${resource.name}`);
    return known !== undefined && sameResource(known, resource) ? known : resource;
  });
}
