import { randomUUID } from "node:crypto";
import type { Json, ResourceKind } from "../kinds/resource-kind.js";
import type { Predicate } from "./selectors.js";
import { ApiError, badRequest, expired } from "./status.js";
import type { ObjectStore } from "./store.js";

/** A part of a list. */
export interface Page {
  readonly objects: readonly Json[];
  readonly metadata: Json;
}

export interface ListRequest {
  readonly kind: ResourceKind;
  readonly namespace: string;
  readonly matches: Predicate;
  readonly limit: number;
  readonly continueToken: string;
  readonly resourceVersion: string;
  readonly exact: boolean;
}

/** Lists that somebody reads in parts: each is what it was at its first part. */
interface OpenList {
  readonly version: number;
  readonly objects: readonly Json[];
}

/** How many are kept; the oldest goes first, and who comes back for it gets 410. */
const maxOpenLists = 64;

/** Lists objects, whole or in parts that fit together. */
export class Lister {
  readonly #store: ObjectStore;
  readonly #open = new Map<string, OpenList>();

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  list(request: ListRequest): Page {
    if (request.continueToken !== "") return this.#nextPage(request);
    const version = this.#store.version;
    const asked = request.resourceVersion === "" ? 0 : Number(request.resourceVersion);
    if (!Number.isSafeInteger(asked) || asked < 0) {
      throw badRequest(
        `resourceVersion: Invalid value: ${JSON.stringify(request.resourceVersion)}: strconv.ParseUint: invalid syntax`,
      );
    }
    if (asked > version) {
      throw new ApiError(504, "Timeout", `Too large resource version: ${asked}, current: ${version}`, {
        retryAfterSeconds: 1,
      });
    }
    if (request.exact && asked !== version) {
      throw expired(`The provided resource version is too old: ${asked}`);
    }
    const objects = this.#store.list(request.kind, request.namespace).filter(request.matches);
    if (request.limit <= 0 || objects.length <= request.limit) {
      return { objects, metadata: { resourceVersion: String(version) } };
    }
    const id = randomUUID();
    this.#open.set(id, { version, objects });
    const oldest = this.#open.size > maxOpenLists ? this.#open.keys().next().value : undefined;
    if (oldest !== undefined) this.#open.delete(oldest);
    return this.#page(id, { version, objects }, 0, request.limit);
  }

  #nextPage(request: ListRequest): Page {
    const [id = "", offset = ""] = Buffer.from(request.continueToken, "base64url").toString("utf8").split(":");
    const open = this.#open.get(id);
    if (!/^\d+$/.test(offset)) throw badRequest("continue key is not valid");
    if (open === undefined) {
      throw expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.",
      );
    }
    return this.#page(id, open, Number(offset), request.limit);
  }

  #page(id: string, open: OpenList, from: number, limit: number): Page {
    const to = limit <= 0 ? open.objects.length : from + limit;
    const left = open.objects.length - to;
    const more =
      left > 0 ? { continue: Buffer.from(`${id}:${to}`).toString("base64url"), remainingItemCount: left } : {};
    return { objects: open.objects.slice(from, to), metadata: { resourceVersion: String(open.version), ...more } };
  }
}
