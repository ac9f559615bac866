import { type ResourceKind, resourceKey } from "../kinds/resource-kind.js";

/** The kinds that are served now: the built-in ones and those of CustomResourceDefinitions. */
export class KindRegistry {
  readonly #byKey = new Map<string, ResourceKind>();
  readonly #builtIn: ReadonlySet<string>;
  #revision = 0;

  constructor(builtIn: readonly ResourceKind[]) {
    for (const kind of builtIn) this.#byKey.set(resourceKey(kind), kind);
    this.#builtIn = new Set(this.#byKey.keys());
  }

  /** Grows with each change: what was made from the kinds before is out of date. */
  get revision(): number {
    return this.#revision;
  }

  get all(): Iterable<ResourceKind> {
    return this.#byKey.values();
  }

  byKey(key: string): ResourceKind | undefined {
    return this.#byKey.get(key);
  }

  /** The kind that a path names; `undefined` when that version is not served. */
  find(group: string, version: string, plural: string): ResourceKind | undefined {
    const kind = this.#byKey.get(resourceKey({ group, plural }));
    return kind?.versions.includes(version) === true ? kind : undefined;
  }

  /** Serves a kind. A built-in one keeps its own schema: its CRD may still be installed beside it. */
  add(kind: ResourceKind): void {
    const key = resourceKey(kind);
    if (this.#builtIn.has(key)) return;
    this.#byKey.set(key, kind);
    this.#revision += 1;
  }

  remove(key: string): void {
    if (this.#builtIn.has(key) || !this.#byKey.delete(key)) return;
    this.#revision += 1;
  }
}
