import type { IncomingMessage } from "node:http";
import { type Parsed, refused } from "@weft/foundation";
import { fromResponse, KubeError } from "./error.js";
import type { Http, HttpCall } from "./http.js";
import { apiVersionOf, type Kind, type KubeObject, type ObjectRef } from "./object.js";
import { isRecord } from "./shape.js";

/** An object whose JSON does not fit its kind; it must not hide the others. */
export interface Unreadable {
  readonly ref: ObjectRef;
  readonly error: string;
}

export interface ObjectList<T> {
  readonly items: readonly T[];
  readonly unreadable: readonly Unreadable[];
  readonly resourceVersion: string;
  /** More is there: pass it as `continueToken`. */
  readonly continueToken: string | undefined;
}

export type WatchEvent<T> =
  | { readonly t: "added" | "modified" | "deleted"; readonly object: T; readonly resourceVersion: string }
  /** Nothing changed; everything up to this version has been seen. */
  | { readonly t: "bookmark"; readonly resourceVersion: string }
  | { readonly t: "unreadable"; readonly ref: ObjectRef; readonly error: string; readonly resourceVersion: string };

/** The JSON of an answer that is 2xx; throws the refusal otherwise. */
export async function jsonOf(http: Http, call: HttpCall): Promise<unknown> {
  const answer = await http.send(call);
  const doing = `${call.method} ${call.path}`;
  const body = parseJson(answer.text);
  if (answer.code < 200 || answer.code > 299) {
    const wait = answer.headers["retry-after"];
    throw fromResponse({
      code: answer.code,
      body: body.ok ? body.value : undefined,
      retryAfterSeconds: typeof wait === "string" ? wait : undefined,
      doing,
    });
  }
  if (!body.ok) throw new KubeError(`${doing}: ${body.error}`, { code: 0, reason: "Unreadable" });
  return body.value;
}

/** Why a stream was not begun. */
export async function refusal(message: IncomingMessage, doing: string): Promise<KubeError> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk);
  const body = parseJson(Buffer.concat(chunks).toString("utf8"));
  return fromResponse({
    code: message.statusCode ?? 0,
    body: body.ok ? body.value : undefined,
    retryAfterSeconds: message.headers["retry-after"],
    doing,
  });
}

function parseJson(text: string): Parsed<unknown> {
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch {
    return refused("the answer is not JSON");
  }
}

/** Reads a list; what does not fit its kind is told apart. */
export function readList<T extends KubeObject>(kind: Kind<T>, body: unknown): ObjectList<T> {
  if (!isRecord(body) || !isRecord(body["metadata"])) {
    throw new KubeError(`list ${kind.plural}: the answer is not a list`, { code: 0, reason: "Unreadable" });
  }
  const items: T[] = [];
  const unreadable: Unreadable[] = [];
  const entries: readonly unknown[] = Array.isArray(body["items"]) ? body["items"] : [];
  for (const entry of entries) {
    // Objects in a list come without the two fields that their list implies.
    const item = isRecord(entry) ? { apiVersion: apiVersionOf(kind), kind: kind.kind, ...entry } : entry;
    const read = kind.parse(item);
    if (read.ok) items.push(read.value);
    else unreadable.push({ ref: refOf(item), error: read.error });
  }
  return {
    items,
    unreadable,
    resourceVersion: textAt(body["metadata"], "resourceVersion"),
    continueToken: textAt(body["metadata"], "continue") || undefined,
  };
}

/** Reads one line of a watch; throws when it is the end by an error. */
export function readEvent<T extends KubeObject>(kind: Kind<T>, line: string, doing: string): WatchEvent<T> {
  const body = parseJson(line);
  if (!body.ok || !isRecord(body.value)) throw new Error("a line of the stream is not a watch event");
  const { type, object } = body.value;
  if (type === "ERROR") throw fromResponse({ code: 500, body: object, doing });
  const metadata = isRecord(object) ? object["metadata"] : undefined;
  const resourceVersion = textAt(metadata, "resourceVersion");
  if (type === "BOOKMARK") return { t: "bookmark", resourceVersion };
  const t = type === "ADDED" ? "added" : type === "MODIFIED" ? "modified" : type === "DELETED" ? "deleted" : undefined;
  if (t === undefined) throw new Error(`watch event of unknown type ${JSON.stringify(type)}`);
  const read = kind.parse(object);
  if (!read.ok) return { t: "unreadable", ref: refOf(object), error: read.error, resourceVersion };
  return { t, object: read.value, resourceVersion };
}

function refOf(object: unknown): ObjectRef {
  const metadata = isRecord(object) ? object["metadata"] : undefined;
  const namespace = textAt(metadata, "namespace");
  return { name: textAt(metadata, "name"), ...(namespace === "" ? {} : { namespace }) };
}

function textAt(value: unknown, field: string): string {
  const found = isRecord(value) ? value[field] : undefined;
  return typeof found === "string" ? found : "";
}

/** Ends a stream on which nothing has arrived for `silenceMs`: a peer that is gone closes nothing. */
export function silenceGuard(message: IncomingMessage, silenceMs: number): Disposable & { heard(): void } {
  const arm = (): NodeJS.Timeout =>
    setTimeout(() => message.destroy(new Error(`nothing arrived for ${silenceMs} ms`)), silenceMs);
  let timer = arm();
  return {
    heard() {
      clearTimeout(timer);
      timer = arm();
    },
    [Symbol.dispose]() {
      clearTimeout(timer);
    },
  };
}
