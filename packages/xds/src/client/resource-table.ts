import { type Clock, type Logger, type Timer, type Watch, WatchSource } from "@weft/foundation";
import type { ResourceReport, ResourceState, ResourceType } from "./resource-type.js";
import type { SavedResource, SavedType } from "./saved.js";
import { compareVersions, type SnapshotVersion } from "./version.js";

/** One response, cut down to what a table needs. */
export interface TableUpdate extends SnapshotVersion {
  readonly resources: readonly Uint8Array[];
}

/** What became of a response: the first is acknowledged, the others are refused with the reason. */
export type TableOutcome =
  | { readonly t: "accepted" }
  /** Good resources were taken; these were not. */
  | { readonly t: "resource-invalid"; readonly error: string }
  /** Nothing of the response was taken. */
  | { readonly t: "response-invalid"; readonly error: string };

/** A table as the worker sees it, whatever its resources are. */
export interface AnyResourceTable {
  readonly typeUrl: string;
  readonly names: readonly string[];
  /** `version_info` of the last response that was taken whole. */
  readonly ackedVersion: string;
  apply(update: TableUpdate): TableOutcome;
  /** A new stream begins: every name counts as asked for with its first request. */
  streamOpened(): void;
  streamClosed(): void;
  /** The names were sent. Starts the clock for those that are still unknown. */
  requested(): void;
  reports(): readonly ResourceReport[];
  saved(): SavedType;
}

/** A running interest in one resource. Dispose when it is over; the last one out forgets the resource. */
export interface ResourceSubscription<T> extends Disposable {
  readonly state: Watch<ResourceState<T>>;
}

interface Entry<T> {
  readonly name: string;
  readonly state: WatchSource<ResourceState<T>>;
  subscribers: number;
  bytes: Uint8Array | undefined;
  from: SnapshotVersion | undefined;
  /** Whether a response on this stream may be taken to speak about the entry even when it leaves it out. */
  asked: "not yet" | "with the first request" | "later";
  notFound: Timer | undefined;
}

/** What became of one resource of a response. */
interface Taken {
  readonly changed: boolean;
  readonly error?: string;
  readonly nameless?: boolean;
}

/** How long a resource may stay unanswered before it counts as absent (xDS: 15 s). */
export const notFoundMs = 15_000;

/** All resources of one type. Every change happens in one synchronous command; readers get watches of immutable states. */
export class ResourceTable<T> implements AnyResourceTable {
  readonly #type: ResourceType<T>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onNamesChanged: () => void;
  readonly #onTaken: () => void;
  readonly #isSilenceProof: () => boolean;
  readonly #entries = new Map<string, Entry<T>>();
  /** From an earlier process, until someone asks for them. */
  readonly #unclaimed = new Map<string, SavedResource>();
  #taken: SnapshotVersion = { identifier: "", version: "" };
  #ackedVersion = "";
  #onStream: "closed" | "before the first request" | "running" = "closed";

  constructor(options: {
    readonly type: ResourceType<T>;
    readonly saved: SavedType | undefined;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly onNamesChanged: () => void;
    readonly onTaken: () => void;
    /** Asked when a name has stayed unanswered for {@link notFoundMs}: whether that means that there is no such resource. */
    readonly isSilenceProof: () => boolean;
  }) {
    this.#type = options.type;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#onNamesChanged = options.onNamesChanged;
    this.#onTaken = options.onTaken;
    this.#isSilenceProof = options.isSilenceProof;
    if (options.saved !== undefined) {
      const { identifier, version } = options.saved;
      this.#taken = { identifier, version };
      for (const resource of options.saved.resources) this.#unclaimed.set(resource.name, resource);
    }
  }

  get typeUrl(): string {
    return this.#type.typeUrl;
  }

  get names(): readonly string[] {
    return [...this.#entries.keys()];
  }

  get ackedVersion(): string {
    return this.#ackedVersion;
  }

  /** The snapshot that the table's newest resources came from. */
  get taken(): SnapshotVersion {
    return this.#taken;
  }

  subscribe(name: string): ResourceSubscription<T> {
    const entry = this.#entries.get(name) ?? this.#create(name);
    entry.subscribers += 1;
    let over = false;
    return {
      state: entry.state,
      [Symbol.dispose]: () => {
        if (over) return;
        over = true;
        entry.subscribers -= 1;
        if (entry.subscribers > 0) return;
        entry.notFound?.[Symbol.dispose]();
        this.#entries.delete(name);
        this.#onNamesChanged();
        if (entry.bytes !== undefined) this.#onTaken();
      },
    };
  }

  apply(update: TableUpdate): TableOutcome {
    const { identifier, version } = update;
    const from: SnapshotVersion = { identifier, version };
    if (compareVersions(from, this.#taken) === "older") {
      return {
        t: "response-invalid",
        error: `snapshot ${version} is older than ${this.#taken.version}, which this client has from the same control plane`,
      };
    }
    const seen = new Set<string>();
    const errors: string[] = [];
    let changed = false;
    let nameless = false;
    for (const bytes of update.resources) {
      const taken = this.#take(bytes, from, seen);
      if (taken.error !== undefined) errors.push(taken.error);
      changed ||= taken.changed;
      nameless ||= taken.nameless === true;
    }
    // A resource whose name cannot be read may be any of those that seem to be missing.
    if (this.#type.complete && !nameless)
      for (const entry of this.#entries.values()) changed = this.#omitted(entry, from, seen) || changed;
    this.#taken = from;
    if (errors.length === 0) this.#ackedVersion = version;
    if (changed) this.#onTaken();
    return errors.length === 0 ? { t: "accepted" } : { t: "resource-invalid", error: errors.join("; ") };
  }

  streamOpened(): void {
    this.#onStream = "before the first request";
    for (const entry of this.#entries.values()) entry.asked = "not yet";
  }

  streamClosed(): void {
    this.#onStream = "closed";
    // Nobody is there to answer, so silence proves nothing.
    for (const entry of this.#entries.values()) this.#stopWaiting(entry);
  }

  requested(): void {
    const asked = this.#onStream === "before the first request" ? "with the first request" : "later";
    this.#onStream = "running";
    for (const entry of this.#entries.values()) {
      if (entry.asked !== "not yet") continue;
      entry.asked = asked;
      if (entry.state.value.t !== "pending") continue;
      entry.notFound = this.#clock.after(notFoundMs, () => {
        entry.notFound = undefined;
        if (this.#isSilenceProof()) entry.state.set({ t: "absent" });
      });
      entry.notFound.unref();
    }
  }

  reports(): readonly ResourceReport[] {
    return [...this.#entries.values()].map((entry) => {
      const state = entry.state.value;
      return {
        typeUrl: this.typeUrl,
        name: entry.name,
        version: entry.from?.version ?? "",
        state: state.t,
        error: state.t === "present" ? state.refusal : state.t === "refused" ? state.error : undefined,
      };
    });
  }

  saved(): SavedType {
    const resources: SavedResource[] = [...this.#unclaimed.values()];
    for (const { name, bytes, from } of this.#entries.values()) {
      if (bytes !== undefined) resources.push({ name, bytes, version: from?.version ?? "" });
    }
    return { typeUrl: this.typeUrl, ...this.#taken, resources };
  }

  #create(name: string): Entry<T> {
    const entry: Entry<T> = {
      name,
      state: new WatchSource<ResourceState<T>>({ t: "pending" }),
      subscribers: 0,
      bytes: undefined,
      from: undefined,
      asked: "not yet",
      notFound: undefined,
    };
    const saved = this.#unclaimed.get(name);
    this.#unclaimed.delete(name);
    if (saved !== undefined) this.#seed(entry, saved);
    this.#entries.set(name, entry);
    this.#onNamesChanged();
    return entry;
  }

  #seed(entry: Entry<T>, saved: SavedResource): void {
    const result = this.#type.parse(saved.bytes);
    if (!result.ok || result.name !== entry.name) {
      const error = result.ok ? `it is named ${JSON.stringify(result.name)}` : result.error;
      this.#logger.warn("saved resource ignored", { typeUrl: this.typeUrl, name: entry.name, reason: error });
      return;
    }
    entry.bytes = saved.bytes;
    entry.from = { identifier: this.#taken.identifier, version: saved.version };
    entry.state.set({ t: "present", value: result.value, refusal: undefined });
  }

  #take(bytes: Uint8Array, from: SnapshotVersion, seen: Set<string>): Taken {
    const result = this.#type.parse(bytes);
    if (!result.ok) {
      const what = result.name === undefined ? "a resource without a name" : JSON.stringify(result.name);
      const error = `${what}: ${result.error}`;
      const entry = result.name === undefined ? undefined : this.#entries.get(result.name);
      if (entry !== undefined) {
        seen.add(entry.name);
        this.#refuse(entry, result.error);
      }
      return { changed: false, error, nameless: result.name === undefined };
    }
    if (seen.has(result.name))
      return { changed: false, error: `${JSON.stringify(result.name)}: named twice in one response` };
    seen.add(result.name);
    const entry = this.#entries.get(result.name);
    // State of the world: a server may send more than was asked for.
    if (entry === undefined) return { changed: false };
    this.#stopWaiting(entry);
    const state = entry.state.value;
    entry.from = from;
    const same = entry.bytes !== undefined && Buffer.compare(entry.bytes, bytes) === 0;
    if (same && state.t === "present" && state.refusal === undefined) return { changed: true };
    const value = same && state.t === "present" ? state.value : result.value;
    entry.bytes = bytes;
    entry.state.set({ t: "present", value, refusal: undefined });
    return { changed: true };
  }

  #refuse(entry: Entry<T>, error: string): void {
    this.#stopWaiting(entry);
    const state = entry.state.value;
    entry.state.set(state.t === "present" ? { ...state, refusal: error } : { t: "refused", error });
  }

  /** A complete response left the entry out. Returns whether that changed what is held. */
  #omitted(entry: Entry<T>, from: SnapshotVersion, seen: ReadonlySet<string>): boolean {
    if (seen.has(entry.name)) {
      entry.asked = "with the first request";
      return false;
    }
    // The response may answer a request that did not name it yet: the timer decides.
    if (entry.asked !== "with the first request") return false;
    const state = entry.state.value;
    if (state.t === "absent") return false;
    // One snapshot cannot both have it and not have it: what a restarted control plane does not know yet is no deletion.
    if (entry.from !== undefined && compareVersions(from, entry.from) === "same") return false;
    this.#stopWaiting(entry);
    entry.bytes = undefined;
    entry.from = undefined;
    entry.state.set({ t: "absent" });
    return true;
  }

  #stopWaiting(entry: Entry<T>): void {
    entry.notFound?.[Symbol.dispose]();
    entry.notFound = undefined;
  }
}
