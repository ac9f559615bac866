import type { Node } from "@weft/contracts/envoy/config/core/v3";
import type { Clock, Logger, Timer } from "@weft/foundation";
import { type EncodedResource, type Snapshot, type SnapshotCache, TypeUrl } from "@weft/xds";
import type { ServiceKey } from "../model/keys.js";
import { serverListener } from "../translate/listener.js";
import { parseServerListener } from "../translate/names.js";
import type { Translation } from "../translate/translate.js";
import { danglingNames } from "./consistency.js";
import { encodeListener } from "./encode.js";
import { type PublishedSet, ResourceSet } from "./resource-set.js";

export interface PublisherOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Translates one Service as everything is known now. */
  readonly translate: (key: ServiceKey) => Translation;
  /** The highest resourceVersion that everything known includes. */
  readonly version: () => bigint;
  /** Called after each publication with the Services whose outcomes may have changed. */
  readonly onTranslated?: (key: ServiceKey, translation: Translation) => void;
  /** How long changes are collected. Default 5 ms. */
  readonly settleMs?: number;
}

/**
 * Makes snapshots from changes, and is the cache that the ADS server reads.
 *
 *   silent --start--> clean --touch--> collecting --urgent, or after settleMs--> clean
 */
export class Publisher implements SnapshotCache, Disposable {
  readonly #options: PublisherOptions;
  readonly #resources = new ResourceSet();
  readonly #touched = new Set<ServiceKey>();
  readonly #listeners = new Set<() => void>();
  readonly #snapshots = new Map<string, Snapshot>();
  #started = false;
  /** True after a publication that was withheld: what is known is not what is published. */
  #withheld = false;
  #timer: Timer | undefined;
  #published: { readonly set: PublishedSet; readonly version: bigint } | undefined;
  #current = 0n;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** The version of the last publication; `undefined` before the first. */
  get version(): string | undefined {
    return this.#published?.version.toString();
  }

  get resources(): PublishedSet | undefined {
    return this.#published?.set;
  }

  /** Notes that Services must be translated again. Urgent ones, and all that wait with them, are published before this returns. */
  touch(services: Iterable<ServiceKey>, urgent: boolean): void {
    for (const key of services) this.#touched.add(key);
    if (!this.#started || this.#touched.size === 0) return;
    if (urgent) this.#publish();
    else this.#timer ??= this.#options.clock.after(this.#options.settleMs ?? 5, () => this.#publish());
  }

  /** From here on there are snapshots. Call when everything has been listed. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#publish();
  }

  snapshotFor(node: Node): Snapshot | undefined {
    const published = this.#published;
    if (published === undefined) return undefined;
    // What is known may be newer than what was published, if the news concern nobody: then the snapshot is as new.
    const isAll = this.#touched.size === 0 && !this.#withheld;
    const newest = isAll ? this.#options.version() : published.version;
    if (newest > this.#current) {
      this.#current = newest;
      this.#snapshots.clear();
    }
    const namespace = node.metadata?.["NAMESPACE"];
    const audience = typeof namespace === "string" && published.set.consumers.has(namespace) ? namespace : "";
    const snapshot = this.#snapshots.get(audience) ?? snapshotOf(published.set, audience, this.#current.toString());
    this.#snapshots.set(audience, snapshot);
    return snapshot;
  }

  watch(listener: () => void): Disposable {
    const entry = (): void => listener();
    this.#listeners.add(entry);
    return { [Symbol.dispose]: () => void this.#listeners.delete(entry) };
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#started = false;
  }

  #publish(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    const { logger, translate, onTranslated, version } = this.#options;
    const translated = [...this.#touched].map((key) => ({ key, translation: translate(key) }));
    this.#touched.clear();
    for (const { key, translation } of translated) this.#resources.put(key, translation);
    const set = this.#resources.freeze();
    const dangling = danglingNames(set, this.#published?.set);
    this.#withheld = dangling.length > 0;
    if (this.#withheld) {
      // A fault of ours. What is published stays; the next change tries again.
      logger.error("snapshot withheld: it names what does not exist", { dangling: dangling.slice(0, 10) });
      return;
    }
    const newest = version();
    if (newest > this.#current) this.#current = newest;
    // Something arrived late, behind what is published: clients are told by a version of its own.
    else if (this.#published !== undefined && !sameSet(set, this.#published.set)) this.#current += 1n;
    this.#published = { set, version: this.#current };
    this.#snapshots.clear();
    logger.debug("snapshot published", { version: this.#current.toString(), services: translated.length });
    for (const { key, translation } of translated) onTranslated?.(key, translation);
    for (const listener of [...this.#listeners]) listener();
  }
}

/** Whether nothing changed from one set to the next: maps of which nothing changed are the same. */
function sameSet(a: PublishedSet, b: PublishedSet): boolean {
  const same = (one: ReadonlyMap<string, unknown>, other: ReadonlyMap<string, unknown>): boolean =>
    one.size === other.size && [...one].every(([key, value]) => other.get(key) === value);
  return same(a.types, b.types) && same(a.consumers, b.consumers);
}

function snapshotOf(set: PublishedSet, audience: string, version: string): Snapshot {
  const routes = set.types.get(TypeUrl.route) ?? new Map<string, EncodedResource>();
  const own = set.consumers.get(audience) ?? new Map<string, EncodedResource>();
  return {
    version,
    all: (type) =>
      (type === TypeUrl.route ? new Map([...routes, ...own]) : (set.types.get(type) ?? new Map())).values(),
    get(type, name) {
      if (type === TypeUrl.route) return own.get(name) ?? routes.get(name);
      return set.types.get(type)?.get(name) ?? (type === TypeUrl.listener ? inboundListener(name) : undefined);
    },
  };
}

/** Servers ask for the listener of their own address, whatever it is; all of them get the same rules. */
function inboundListener(name: string): EncodedResource | undefined {
  const address = parseServerListener(name);
  return address === undefined ? undefined : encodeListener(serverListener(name, address));
}
