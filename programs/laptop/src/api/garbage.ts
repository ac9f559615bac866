import { type Clock, type Logger, Scope, sleep } from "@weft/foundation";
import { at, listAt, recordAt, textAt } from "../kinds/path.js";
import type { Json, ResourceKind } from "../kinds/resource-kind.js";
import type { KindRegistry } from "./kind-registry.js";
import { withMetadata } from "./object-parts.js";
import { type ApiObjects, backgroundDelete } from "./objects.js";
import type { ObjectStore, StoreEvent } from "./store.js";

/**
 * What Kubernetes' garbage collector and namespace controller do: objects whose owners are gone go too; an owner that is deleted in the
 * foreground waits for them; a namespace that ends takes its content along; a namespace that begins gets what every namespace has.
 */
export function startGarbageCollector(options: {
  readonly store: ObjectStore;
  readonly kinds: KindRegistry;
  readonly objects: ApiObjects;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The certificate in ConfigMap `kube-root-ca.crt` of each namespace. */
  readonly ca: string;
}): AsyncDisposable {
  const collector = new GarbageCollector(options);
  const scope = new Scope();
  const subscription = options.store.subscribe(options.store.version, (event) => collector.noteEvent(event));
  scope.defer(() => subscription[Symbol.dispose]());
  collector.noteAll();
  scope.spawn(async (signal) => {
    while (!signal.aborted) {
      // Aborted while waiting: the loop sees it.
      await sleep(60_000, { clock: options.clock, signal }).catch(() => {});
      if (!signal.aborted) collector.dropOldEvents();
    }
  });
  return scope;
}

interface Place {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** A namespace keeps its content this long, so that who deletes both by name finds both. */
const namespaceGraceMs = 1_000;
const eventLifeMs = 60 * 60 * 1_000;

class GarbageCollector {
  readonly #store: ObjectStore;
  readonly #kinds: KindRegistry;
  readonly #objects: ApiObjects;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #ca: string;
  /** Where each owner's dependents are, by the owner's uid. */
  readonly #dependents = new Map<string, Map<string, Place>>();
  readonly #places = new Map<string, Place>();
  readonly #queue = new Map<string, Place>();
  #scheduled = false;

  constructor(options: Parameters<typeof startGarbageCollector>[0]) {
    this.#store = options.store;
    this.#kinds = options.kinds;
    this.#objects = options.objects;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#ca = options.ca;
  }

  /** Looks at every object: after a start, anything may be waiting. */
  noteAll(): void {
    for (const [kind, object] of [...this.#store.all()]) this.#note(kind, object);
  }

  noteEvent(event: StoreEvent): void {
    const place = placeOf(event.kind, event.object);
    if (event.type !== "DELETED") {
      this.#note(event.kind, event.object);
      return;
    }
    const uid = textAt(event.object, "metadata", "uid");
    this.#places.delete(uid);
    for (const owner of listAt(event.object, "metadata", "ownerReferences")) {
      const ownerUid = textAt(owner, "uid");
      const dependents = this.#dependents.get(ownerUid);
      dependents?.delete(keyOf(place));
      if (dependents?.size === 0) this.#dependents.delete(ownerUid);
      // An owner that waits in the foreground may be done now.
      const ownerPlace = this.#places.get(ownerUid);
      if (ownerPlace !== undefined) this.#push(ownerPlace);
    }
    for (const dependent of this.#dependents.get(uid)?.values() ?? []) this.#push(dependent);
    if (place.namespace !== "") {
      this.#push({ kind: "namespaces", namespace: "", name: place.namespace });
    }
  }

  dropOldEvents(): void {
    const kind = this.#kinds.byKey("events");
    if (kind === undefined) return;
    for (const event of this.#store.list(kind)) {
      const seen = Date.parse(textAt(event, "lastTimestamp") || textAt(event, "metadata", "creationTimestamp"));
      if (this.#clock.wallMs() - seen > eventLifeMs) this.#store.remove(kind, event);
    }
  }

  #note(kind: string, object: Json): void {
    const place = placeOf(kind, object);
    this.#places.set(textAt(object, "metadata", "uid"), place);
    const owners = listAt(object, "metadata", "ownerReferences");
    for (const owner of owners) {
      const uid = textAt(owner, "uid");
      const dependents = this.#dependents.get(uid) ?? new Map<string, Place>();
      dependents.set(keyOf(place), place);
      this.#dependents.set(uid, dependents);
    }
    if (owners.length > 0 || kind === "namespaces" || textAt(object, "metadata", "deletionTimestamp") !== "") {
      this.#push(place);
    }
  }

  #push(place: Place): void {
    this.#queue.set(keyOf(place), place);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const places = [...this.#queue.values()];
      this.#queue.clear();
      for (const entry of places) this.#process(entry);
    });
  }

  #process(place: Place): void {
    const kind = this.#kinds.byKey(place.kind);
    const object = kind === undefined ? undefined : this.#store.get(kind, place.namespace, place.name);
    if (kind === undefined || object === undefined) return;
    try {
      if (kind.kind === "Namespace") this.#namespace(kind, object);
      this.#orphaned(kind, object);
      this.#finalize(kind, object);
    } catch (error) {
      this.#logger.warn("garbage collection of an object failed", { error, ...place });
    }
  }

  /** An object whose owners are all gone goes too. */
  #orphaned(kind: ResourceKind, object: Json): void {
    const owners = listAt(object, "metadata", "ownerReferences");
    if (owners.length === 0 || textAt(object, "metadata", "deletionTimestamp") !== "") return;
    if (owners.some((owner) => this.#places.has(textAt(owner, "uid")))) return;
    this.#delete(kind, object, "Background");
  }

  #delete(kind: ResourceKind, object: Json, propagationPolicy: "Background" | "Foreground"): void {
    this.#objects.remove(kind, textAt(object, "metadata", "namespace"), textAt(object, "metadata", "name"), {
      ...backgroundDelete,
      propagationPolicy,
    });
  }

  /** The two finalizers that are ours: wait for dependents, or let them go free. */
  #finalize(kind: ResourceKind, object: Json): void {
    const finalizers = listAt(object, "metadata", "finalizers");
    if (textAt(object, "metadata", "deletionTimestamp") === "") return;
    const uid = textAt(object, "metadata", "uid");
    const dependents = [...(this.#dependents.get(uid)?.values() ?? [])];
    if (finalizers.includes("orphan")) {
      for (const place of dependents) this.#letGo(place, uid);
      this.#dependents.delete(uid);
      this.#dropFinalizer(kind, object, "orphan");
      return;
    }
    if (!finalizers.includes("foregroundDeletion")) return;
    let waiting = false;
    for (const place of dependents) {
      const dependentKind = this.#kinds.byKey(place.kind);
      const dependent =
        dependentKind === undefined ? undefined : this.#store.get(dependentKind, place.namespace, place.name);
      if (dependentKind === undefined || dependent === undefined) continue;
      const reference = listAt(dependent, "metadata", "ownerReferences").find((owner) => at(owner, "uid") === uid);
      if (at(reference, "blockOwnerDeletion") === true) waiting = true;
      if (textAt(dependent, "metadata", "deletionTimestamp") === "") {
        this.#delete(dependentKind, dependent, dependentKind.kind === "Pod" ? "Background" : "Foreground");
      }
    }
    if (!waiting) this.#dropFinalizer(kind, object, "foregroundDeletion");
  }

  #letGo(place: Place, uid: string): void {
    const kind = this.#kinds.byKey(place.kind);
    const object = kind === undefined ? undefined : this.#store.get(kind, place.namespace, place.name);
    if (kind === undefined || object === undefined) return;
    const ownerReferences = listAt(object, "metadata", "ownerReferences").filter((owner) => at(owner, "uid") !== uid);
    const { ownerReferences: _old, ...metadata } = recordAt(object, "metadata");
    this.#store.put(kind, {
      ...object,
      metadata: ownerReferences.length === 0 ? metadata : { ...metadata, ownerReferences },
    });
  }

  #dropFinalizer(kind: ResourceKind, object: Json, finalizer: string): void {
    const finalizers = listAt(object, "metadata", "finalizers").filter((entry) => entry !== finalizer);
    const left = withMetadata(object, { finalizers });
    if (finalizers.length > 0) this.#store.put(kind, left);
    else if (kind.kind === "Pod" && at(object, "metadata", "deletionGracePeriodSeconds") !== 0)
      this.#store.put(kind, left);
    else this.#store.remove(kind, left);
  }

  #namespace(kind: ResourceKind, object: Json): void {
    const name = textAt(object, "metadata", "name");
    if (textAt(object, "metadata", "deletionTimestamp") === "") {
      this.#furnish(name);
      return;
    }
    const endMs = Date.parse(textAt(object, "metadata", "deletionTimestamp")) + namespaceGraceMs;
    if (this.#clock.wallMs() < endMs) {
      this.#clock.after(namespaceGraceMs, () => this.#push(placeOf("namespaces", object))).unref();
      return;
    }
    let left = 0;
    for (const inner of this.#kinds.all) {
      if (!inner.namespaced) continue;
      for (const content of this.#store.list(inner, name)) {
        if (textAt(content, "metadata", "deletionTimestamp") === "") this.#delete(inner, content, "Background");
        if (this.#store.get(inner, name, textAt(content, "metadata", "name")) !== undefined) left += 1;
      }
    }
    if (left === 0 && listAt(object, "metadata", "finalizers").length === 0) this.#store.remove(kind, object);
  }

  /** What every namespace has: a service account for Pods that name none, and the certificate to trust the API by. */
  #furnish(namespace: string): void {
    const accounts = this.#kinds.byKey("serviceaccounts");
    const maps = this.#kinds.byKey("configmaps");
    if (accounts === undefined || maps === undefined) return;
    if (this.#store.get(accounts, namespace, "default") === undefined) {
      this.#objects.create(systemWrite(accounts, namespace), { metadata: { name: "default" } });
    }
    const data = { "ca.crt": this.#ca };
    const root = this.#store.get(maps, namespace, "kube-root-ca.crt");
    if (root === undefined) {
      this.#objects.create(systemWrite(maps, namespace), { metadata: { name: "kube-root-ca.crt" }, data });
    } else if (at(root, "data", "ca.crt") !== this.#ca) {
      this.#objects.replace(systemWrite(maps, namespace), "kube-root-ca.crt", { ...root, data });
    }
  }
}

/** A write of the API itself. */
export function systemWrite(kind: ResourceKind, namespace: string): Parameters<ApiObjects["create"]>[0] {
  return {
    kind,
    version: kind.versions[0] ?? "v1",
    namespace,
    subresource: "",
    manager: "weft-laptop",
    dryRun: false,
    fieldValidation: "Strict",
    warnings: [],
  };
}

function placeOf(kind: string, object: Json): Place {
  return { kind, namespace: textAt(object, "metadata", "namespace"), name: textAt(object, "metadata", "name") };
}

const keyOf = (place: Place): string => `${place.kind}/${place.namespace}/${place.name}`;
