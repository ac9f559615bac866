import type { ServerResponse } from "node:http";
import type { Clock, Timer } from "@weft/foundation";
import { textAt } from "../kinds/path.js";
import { groupVersion, type Json, resourceKey } from "../kinds/resource-kind.js";
import { type Form, objectText } from "./answer.js";
import type { Predicate } from "./selectors.js";
import { ApiError, statusOf } from "./status.js";
import type { ObjectStore, StoreEvent } from "./store.js";

export interface WatchRequest {
  readonly form: Form;
  readonly namespace: string;
  readonly matches: Predicate;
  /** Changes after this version; `undefined` begins with what is there. */
  readonly after: number | undefined;
  /** Sends what is there, then a bookmark that says so (`sendInitialEvents`). */
  readonly initialEvents: boolean;
  readonly bookmarks: boolean;
  readonly timeoutSeconds: number;
}

/** A reader that leaves so much unread is cut off: it lists again when it is back. */
const maxUnreadBytes = 32 * 1024 * 1024;
const firstBookmarkMs = 5_000;
const bookmarkEveryMs = 30_000;

/** Streams the changes of a selection until the time is over, the client leaves or the server stops. */
export function streamWatch(response: ServerResponse, request: WatchRequest, store: ObjectStore, clock: Clock): void {
  const { form, namespace, matches } = request;
  const key = resourceKey(form.kind);
  const timers = new Set<Timer>();
  let subscription: Disposable | undefined;

  const write = (type: string, text: string): void => {
    if (response.destroyed) return;
    response.write(`{"type":"${type}","object":${text}}\n`);
    if (response.writableLength > maxUnreadBytes) response.destroy();
  };
  const bookmark = (end = false): void => {
    const metadata = {
      resourceVersion: String(store.version),
      creationTimestamp: null,
      ...(end ? { annotations: { "k8s.io/initial-events-end": "true" } } : {}),
    };
    const object = { kind: form.kind.kind, apiVersion: groupVersion(form.kind, form.version), metadata };
    write("BOOKMARK", form.form === "table" ? objectText(object, form) : JSON.stringify(object));
  };
  const stop = (): void => {
    subscription?.[Symbol.dispose]();
    for (const timer of timers) timer[Symbol.dispose]();
    timers.clear();
  };
  const later = (delayMs: number, run: () => void): void => {
    const timer = clock.after(delayMs, () => {
      timers.delete(timer);
      run();
    });
    timers.add(timer);
  };

  const inScope = (object: Json): boolean =>
    (namespace === "" || textAt(object, "metadata", "namespace") === namespace) && matches(object);
  const onEvent = (event: StoreEvent): void => {
    if (event.kind !== key) return;
    const before = event.previous !== undefined && inScope(event.previous);
    const now = event.type !== "DELETED" && inScope(event.object);
    // What leaves the selection is deleted as far as this reader can see.
    if (now) write(before ? "MODIFIED" : "ADDED", objectText(event.object, form));
    else if (before) write("DELETED", objectText(event.object, form));
  };

  response.writeHead(200, { "content-type": "application/json", "cache-control": "no-cache, private" });
  response.flushHeaders();
  response.on("close", stop);
  try {
    if (request.after === undefined || request.initialEvents) {
      for (const object of store.list(form.kind, namespace))
        if (matches(object)) write("ADDED", objectText(object, form));
      if (request.initialEvents) bookmark(true);
      subscription = store.subscribe(store.version, onEvent);
    } else {
      subscription = store.subscribe(request.after, onEvent);
    }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    // As upstream does: the stream has begun, so the refusal is an event.
    write("ERROR", JSON.stringify(statusOf(error)));
    response.end();
    return;
  }
  const timeoutMs = request.timeoutSeconds * 1_000;
  later(timeoutMs, () => response.end());
  if (!request.bookmarks) return;
  const everySoOften = (): void => {
    bookmark();
    later(bookmarkEveryMs, everySoOften);
  };
  later(firstBookmarkMs, everySoOften);
  // The last word before the end saves the next watch what this one has seen.
  later(Math.max(timeoutMs - 2_000, timeoutMs / 2), bookmark);
}
