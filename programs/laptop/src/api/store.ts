import { textAt } from "../kinds/path.js";
import { type Json, type ResourceKind, resourceKey } from "../kinds/resource-kind.js";
import { expired } from "./status.js";
import type { VersionSource } from "./version-source.js";

/** One change of one object, as the history keeps it. */
export interface StoreEvent {
  readonly version: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly kind: string;
  readonly object: Json;
  /** The object before; absent when it is new. */
  readonly previous: Json | undefined;
}

/**
 * The objects, each with the version of its last change. One writer: all changes go through `put` and `remove`, in order, synchronously,
 * and every listener hears of them before the next. The last `historySize` changes are kept for watches that begin in the past.
 */
export class ObjectStore {
  readonly #versions: VersionSource;
  readonly #historySize: number;
  readonly #kinds = new Map<string, Map<string, Json>>();
  readonly #listeners = new Set<(event: StoreEvent) => void>();
  #history: StoreEvent[] = [];
  #version: number;
  /** Watches can begin here or later. */
  #floor: number;

  constructor(options: { readonly versions: VersionSource; readonly historySize: number }) {
    this.#versions = options.versions;
    this.#historySize = options.historySize;
    this.#version = options.versions.next();
    this.#floor = this.#version;
  }

  /** The version of the newest change. */
  get version(): number {
    return this.#version;
  }

  /** Takes an object from disk: no change, no event. */
  restore(kind: ResourceKind, object: Json): void {
    this.#of(kind).set(keyOf(object), object);
  }

  get(kind: ResourceKind, namespace: string, name: string): Json | undefined {
    return this.#kinds.get(resourceKey(kind))?.get(kind.namespaced ? `${namespace}/${name}` : name);
  }

  /** The objects of a kind, of one namespace when it is given, by key. */
  list(kind: ResourceKind, namespace = ""): readonly Json[] {
    const objects = this.#kinds.get(resourceKey(kind));
    if (objects === undefined) return [];
    const prefix = `${namespace}/`;
    const found: [string, Json][] = [];
    for (const entry of objects) if (namespace === "" || entry[0].startsWith(prefix)) found.push(entry);
    found.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return found.map(([, object]) => object);
  }

  /** Every object there is, with its kind's key. */
  *all(): Iterable<readonly [string, Json]> {
    for (const [kind, objects] of this.#kinds) for (const object of objects.values()) yield [kind, object];
  }

  /** Writes an object, new or changed; gives it back with its version. */
  put(kind: ResourceKind, object: Json): Json {
    const previous = this.#of(kind).get(keyOf(object));
    this.#version = this.#versions.next();
    const stored = withVersion(object, this.#version);
    this.#of(kind).set(keyOf(object), stored);
    this.#tell({
      version: this.#version,
      type: previous === undefined ? "ADDED" : "MODIFIED",
      kind: resourceKey(kind),
      object: stored,
      previous,
    });
    return stored;
  }

  /** Takes an object away; its last state carries the version of its end. */
  remove(kind: ResourceKind, object: Json): Json {
    const previous = this.#of(kind).get(keyOf(object));
    this.#of(kind).delete(keyOf(object));
    this.#version = this.#versions.next();
    const last = withVersion(object, this.#version);
    this.#tell({ version: this.#version, type: "DELETED", kind: resourceKey(kind), object: last, previous });
    return last;
  }

  /** Forgets the history, as compaction does after a while: watches from before now get 410. */
  compact(): void {
    this.#history = [];
    this.#floor = this.#version;
  }

  /** Changes after a version, then all that follow. Throws 410 when the version is older than the history, or from another life. */
  subscribe(after: number, listener: (event: StoreEvent) => void): Disposable {
    if (after < this.#floor || after > this.#version) {
      throw expired(`too old resource version: ${after} (${this.#floor})`);
    }
    for (const event of this.#history) if (event.version > after) listener(event);
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  #of(kind: ResourceKind): Map<string, Json> {
    const key = resourceKey(kind);
    let objects = this.#kinds.get(key);
    if (objects === undefined) {
      objects = new Map();
      this.#kinds.set(key, objects);
    }
    return objects;
  }

  #tell(event: StoreEvent): void {
    this.#history.push(event);
    // Cut in slices: shifting one by one would copy the history at each change.
    if (this.#history.length > this.#historySize * 1.25) {
      const dropped = this.#history.splice(0, this.#history.length - this.#historySize);
      this.#floor = dropped.at(-1)?.version ?? this.#floor;
    }
    for (const listener of [...this.#listeners]) listener(event);
  }
}

function keyOf(object: Json): string {
  const namespace = textAt(object, "metadata", "namespace");
  const name = textAt(object, "metadata", "name");
  return namespace === "" ? name : `${namespace}/${name}`;
}

function withVersion(object: Json, version: number): Json {
  const metadata = object["metadata"];
  return {
    ...object,
    metadata: { ...(typeof metadata === "object" ? metadata : {}), resourceVersion: String(version) },
  };
}
