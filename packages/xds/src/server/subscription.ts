import { type EncodedResource, sameResource } from "../resource.js";
import { isWholeState, type TypeUrl } from "../type-urls.js";
import type { Snapshot } from "./snapshot.js";

/** The names that a client wants of a type. */
type Interest = { readonly t: "all" } | { readonly t: "named"; readonly names: ReadonlySet<string> };

/** A rejected response: what the client said. */
export interface Rejection {
  readonly version: string;
  readonly message: string;
}

/** What must be sent to bring a client up to a snapshot. */
export interface Update {
  readonly resources: readonly EncodedResource[];
  /** What the client will know, by name, when it has taken this update. */
  readonly known: ReadonlyMap<string, EncodedResource>;
}

/**
 * One type on one stream: what is wanted, what was sent, what was acknowledged.
 *
 *   nothing sent --send--> awaiting answer --ACK or NACK of the newest nonce--> answered --send--> awaiting answer …
 */
export class Subscription {
  readonly #type: TypeUrl;
  #interest: Interest | undefined;
  #everNamed = false;
  #known: ReadonlyMap<string, EncodedResource> = new Map();
  #sentVersion: string | undefined;
  #ackedVersion: string | undefined;
  #rejection: Rejection | undefined;
  #nonce = "";
  #answered = true;
  #owesAnswer = false;

  constructor(type: TypeUrl) {
    this.#type = type;
  }

  get nonce(): string {
    return this.#nonce;
  }

  get sentVersion(): string | undefined {
    return this.#sentVersion;
  }

  get ackedVersion(): string | undefined {
    return this.#ackedVersion;
  }

  get rejection(): Rejection | undefined {
    return this.#rejection;
  }

  /** False while the newest response is neither acknowledged nor rejected. */
  get answered(): boolean {
    return this.#answered;
  }

  /** True when the client waits for an answer to names that it did not ask for before: such an answer waits for nothing else. */
  get owesAnswer(): boolean {
    return this.#owesAnswer;
  }

  /**
   * Takes the names of a request. An empty first list means everything, for the types that know a wildcard;
   * once a client has named something, an empty list means nothing (xDS transport protocol, "How the client specifies what resources to return").
   */
  want(names: readonly string[]): void {
    const before = this.#interest;
    if (names.length > 0) this.#everNamed = true;
    const wildcard = isWholeState(this.#type) && (names.includes("*") || (names.length === 0 && !this.#everNamed));
    if (wildcard) {
      this.#interest = { t: "all" };
      if (before?.t !== "all") this.#owesAnswer = true;
      return;
    }
    const wanted = new Set(names);
    this.#interest = { t: "named", names: wanted };
    const isNew = (name: string): boolean => before?.t !== "named" || !before.names.has(name);
    if (before === undefined || names.some(isNew)) this.#owesAnswer = true;
    // What is no longer wanted is forgotten, so that it is sent again when it is wanted again.
    const known = new Map(this.#known);
    for (const name of this.#known.keys()) if (!wanted.has(name)) known.delete(name);
    this.#known = known;
  }

  /** Takes the answer to the newest response. */
  answer(rejected: string | undefined): void {
    this.#answered = true;
    if (rejected !== undefined) {
      this.#rejection = { version: this.#sentVersion ?? "", message: rejected };
      return;
    }
    this.#ackedVersion = this.#sentVersion;
    this.#rejection = undefined;
  }

  /**
   * After a rejection: as if nothing had been sent, so that everything is sent again. False, and nothing happens, when nothing was rejected
   * or the client has already judged this version.
   */
  retryRejected(version: string): boolean {
    if (this.#rejection === undefined || this.#sentVersion === version || !this.#answered) return false;
    this.#known = new Map();
    this.#owesAnswer = true;
    return true;
  }

  /**
   * What would bring the client up to this snapshot; `undefined` when nothing needs to be sent.
   * With `keepRemoved`, what the snapshot no longer has is repeated as it was, for as long as the client may still use it.
   */
  updateTo(snapshot: Snapshot, keepRemoved: boolean): Update | undefined {
    if (this.#interest === undefined) return undefined;
    const target = new Map<string, EncodedResource>();
    if (this.#interest.t === "all") {
      for (const resource of snapshot.all(this.#type)) target.set(resource.name, resource);
    } else {
      for (const name of this.#interest.names) {
        const resource = snapshot.get(this.#type, name);
        if (resource !== undefined) target.set(name, resource);
      }
    }
    if (keepRemoved) for (const [name, old] of this.#known) if (!target.has(name)) target.set(name, old);
    const changed = [...target.values()].filter((resource) => !sameResource(this.#known.get(resource.name), resource));
    const removed = [...this.#known.keys()].some((name) => !target.has(name));
    if (isWholeState(this.#type)) {
      if (changed.length === 0 && !removed && !this.#owesAnswer) return undefined;
      return { resources: [...target.values()], known: target };
    }
    if (changed.length > 0) return { resources: changed, known: target };
    // Nothing tells a client that an endpoint or route resource is gone but the cluster or listener that stops naming it.
    if (removed) this.#known = target;
    this.#owesAnswer = false;
    return undefined;
  }

  /** Notes that an update has been sent. */
  sent(update: Update, version: string, nonce: string): void {
    this.#known = update.known;
    this.#sentVersion = version;
    this.#nonce = nonce;
    this.#answered = false;
    this.#owesAnswer = false;
  }
}
