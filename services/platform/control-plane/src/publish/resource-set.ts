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

/** Named resources that change, and the last frozen copy of them. */
class NamedResources {
  readonly #current = new Map<string, PublishedResource>();
  #frozen: ByName | undefined;

  replace(before: readonly PublishedResource[], after: readonly PublishedResource[]): void {
    const kept = new Set(after.map(({ name }) => name));
    for (const { name } of before) if (!kept.has(name)) this.#change(() => this.#current.delete(name));
    for (const resource of after) {
      if (this.#current.get(resource.name) === resource) continue;
      this.#change(() => this.#current.set(resource.name, resource));
    }
  }

  /** The same map for as long as nothing changes. */
  freeze(): ByName {
    this.#frozen ??= new Map(this.#current);
    return this.#frozen;
  }

  #change(apply: () => void): void {
    this.#frozen = undefined;
    apply();
  }
}

/** Puts the contributions of all Services together; what did not change keeps its identity. */
export class ResourceSet {
  readonly #contributions = new Map<ServiceKey, Contribution>();
  readonly #types = new Map(sendOrder.map((type) => [type, new NamedResources()]));
  readonly #consumers = new Map<string, NamedResources>();

  constructor() {
    this.#replace([], encodeAll(fixedResources));
  }

  /** Replaces what a Service brings. */
  put(key: ServiceKey, translation: Translation): void {
    const before = this.#contributions.get(key) ?? nothing;
    const resources = keepSame(encodeAll(translation), before.resources);
    this.#replace(before.resources, resources);
    const consumers = new Map<string, readonly PublishedResource[]>();
    for (const namespace of new Set([...before.consumers.keys(), ...translation.consumerRoutes.keys()])) {
      const old = before.consumers.get(namespace) ?? [];
      const routes = keepSame((translation.consumerRoutes.get(namespace) ?? []).map(encodeRoutes), old);
      const named = this.#consumers.get(namespace) ?? new NamedResources();
      named.replace(old, routes);
      this.#consumers.set(namespace, named);
      if (routes.length > 0) consumers.set(namespace, routes);
    }
    if (resources.length === 0 && consumers.size === 0) this.#contributions.delete(key);
    else this.#contributions.set(key, { resources, consumers });
  }

  /** The whole as it is now. Maps of which nothing changed are those of the last time. */
  freeze(): PublishedSet {
    const consumers = [...this.#consumers].map(([namespace, named]): [string, ByName] => [namespace, named.freeze()]);
    return {
      types: new Map([...this.#types].map(([type, named]) => [type, named.freeze()])),
      consumers: new Map(consumers.filter(([, named]) => named.size > 0)),
    };
  }

  #replace(before: readonly PublishedResource[], after: readonly PublishedResource[]): void {
    for (const [type, named] of this.#types) {
      named.replace(
        before.filter((resource) => resource.type === type),
        after.filter((resource) => resource.type === type),
      );
    }
  }
}

const nothing: Contribution = { resources: [], consumers: new Map() };

function keepSame(
  next: readonly PublishedResource[],
  before: readonly PublishedResource[],
): readonly PublishedResource[] {
  const old = new Map(before.map((resource) => [`${resource.type} ${resource.name}`, resource]));
  return next.map((resource) => {
    const known = old.get(`${resource.type} ${resource.name}`);
    return known !== undefined && sameResource(known, resource) ? known : resource;
  });
}
