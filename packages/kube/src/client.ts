import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type Parsed, refused } from "@weft/foundation";
import { fromResponse, fromTransport, KubeError } from "./error.js";
import { createHttp, type Http, type HttpAnswer, type HttpCall, type KubeServer, lineBatches } from "./http.js";
import { type IssuedToken, parseTokenRequest, parseTokenReview, type TokenReviewStatus } from "./kinds/access.js";
import { apiVersionOf, type Kind, type KubeObject, type NewObject, type ObjectRef } from "./object.js";
import { openPortForward } from "./port-forward.js";
import { isRecord } from "./shape.js";

export interface CallOptions {
  readonly signal?: AbortSignal;
}

/** Which objects a list or a watch is about. */
export interface Selection {
  /** Only this namespace; default all. */
  readonly namespace?: string;
  /** `app=orders,tier!=db`. */
  readonly labelSelector?: string;
  /** `metadata.name=orders`. */
  readonly fieldSelector?: string;
}

export interface ListOptions extends Selection, CallOptions {
  /** At most this many; the rest by `continueToken` of the answer. */
  readonly limit?: number;
  readonly continueToken?: string;
  readonly resourceVersion?: string;
}

export interface WatchOptions extends Selection, CallOptions {
  /** Changes after this version; without it the server sends what is there as `added` first. */
  readonly resourceVersion?: string;
  /** The server ends the watch after this long. */
  readonly timeoutSeconds?: number;
  /** Asks for `bookmark` events. Default true. */
  readonly bookmarks?: boolean;
  /** Ends the watch with an error when nothing at all arrives for so long. Default: never. */
  readonly silenceMs?: number;
}

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

export interface WriteOptions extends CallOptions {
  readonly fieldManager?: string;
  /** Checks and answers as if, but keeps nothing. */
  readonly dryRun?: boolean;
  /** What becomes of fields that the schema does not know. The server's default is `Warn`. */
  readonly fieldValidation?: "Ignore" | "Warn" | "Strict";
}

export type Patch =
  /** RFC 7386. */
  | { readonly t: "merge"; readonly body: unknown }
  /** RFC 6902. */
  | { readonly t: "json"; readonly body: readonly unknown[] }
  /** Kubernetes' own, lists joined by their merge key; built-in kinds only. */
  | { readonly t: "strategic"; readonly body: unknown }
  /** Server-side apply; the body is the whole intent. `force` takes fields from other managers. */
  | { readonly t: "apply"; readonly body: unknown; readonly fieldManager: string; readonly force?: boolean };

export interface PatchOptions extends WriteOptions {
  readonly subresource?: "status" | "scale";
}

export interface DeleteOptions extends CallOptions {
  readonly propagationPolicy?: "Foreground" | "Background" | "Orphan";
  readonly gracePeriodSeconds?: number;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly dryRun?: boolean;
}

export interface LogOptions extends CallOptions {
  readonly container?: string;
  /** Goes on as the container writes. */
  readonly follow?: boolean;
  readonly tailLines?: number;
  readonly sinceSeconds?: number;
  readonly timestamps?: boolean;
  /** The run before the last restart. */
  readonly previous?: boolean;
}

/**
 * Reads and writes the objects of one API server. Every call gives {@link KubeError} when the server refuses or can't be reached,
 * and the signal's reason when that aborts. Safe to share; dispose closes idle connections.
 */
export interface KubeClient extends AsyncDisposable {
  get<T extends KubeObject>(kind: Kind<T>, ref: ObjectRef, options?: CallOptions): Promise<T>;
  list<T extends KubeObject>(kind: Kind<T>, options?: ListOptions): Promise<ObjectList<T>>;
  /** Events one by one; ends when the server ends the watch, throws `gone` (410) when the version is too old. */
  watch<T extends KubeObject>(kind: Kind<T>, options?: WatchOptions): AsyncIterable<WatchEvent<T>>;
  /** The same in the groups in which they arrived. */
  watchBatches<T extends KubeObject>(kind: Kind<T>, options?: WatchOptions): AsyncIterable<readonly WatchEvent<T>[]>;
  create<T extends KubeObject>(kind: Kind<T>, object: NewObject<T>, options?: WriteOptions): Promise<T>;
  /** Refused with `conflict` when `metadata.resourceVersion` is set and no longer the newest. */
  replace<T extends KubeObject>(kind: Kind<T>, object: T, options?: WriteOptions): Promise<T>;
  /** Only `status` is taken. */
  replaceStatus<T extends KubeObject>(kind: Kind<T>, object: T, options?: WriteOptions): Promise<T>;
  patch<T extends KubeObject>(kind: Kind<T>, ref: ObjectRef, patch: Patch, options?: PatchOptions): Promise<T>;
  delete<T extends KubeObject>(kind: Kind<T>, ref: ObjectRef, options?: DeleteOptions): Promise<void>;
  /** TokenRequest: a token of a service account. */
  issueToken(
    serviceAccount: ObjectRef,
    request: {
      readonly audiences?: readonly string[];
      readonly expirationSeconds?: number;
      readonly boundTo?: { readonly kind: "Pod" | "Secret"; readonly name: string; readonly uid?: string };
    },
    options?: CallOptions,
  ): Promise<IssuedToken>;
  /** TokenReview: whose token this is. */
  reviewToken(
    request: { readonly token: string; readonly audiences?: readonly string[] },
    options?: CallOptions,
  ): Promise<TokenReviewStatus>;
  /** Bytes of a container's log as they come. */
  logs(pod: ObjectRef, options?: LogOptions): Promise<AsyncIterable<Buffer>>;
  /** One connection to a port inside a Pod. */
  portForward(pod: ObjectRef, port: number, options?: CallOptions): Promise<Duplex>;
  /** Any request, any answer: for what has no method above. Rejects only when no answer comes. */
  request(call: HttpCall): Promise<HttpAnswer>;
}

/** The path of a collection or of an object in it. */
export function pathOf(
  kind: Kind,
  where: { readonly namespace?: string; readonly name?: string },
  sub?: string,
): string {
  const group = kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const scope =
    kind.namespaced && where.namespace !== undefined ? `/namespaces/${encodeURIComponent(where.namespace)}` : "";
  const name = where.name === undefined ? "" : `/${encodeURIComponent(where.name)}`;
  return `${group}${scope}/${kind.plural}${name}${sub === undefined ? "" : `/${sub}`}`;
}

type Query = NonNullable<HttpCall["query"]>;

/** A list or watch line can carry an object as big as etcd takes (1.5 MiB), plus escapes. */
const maxLineBytes = 16 * 1024 * 1024;

const patchTypes = {
  merge: "application/merge-patch+json",
  json: "application/json-patch+json",
  strategic: "application/strategic-merge-patch+json",
  apply: "application/apply-patch+yaml",
} as const;

export function createKubeClient(server: KubeServer): KubeClient {
  const http = createHttp(server);

  const exchange = async <T>(call: HttpCall, parse: (body: unknown) => Parsed<T>): Promise<T> => {
    const body = await jsonOf(http, call);
    const read = parse(body);
    if (!read.ok) {
      throw new KubeError(`${call.method} ${call.path}: ${read.error}`, { code: 0, reason: "Unreadable" });
    }
    return read.value;
  };

  const write = (options: WriteOptions | undefined): Query => ({
    fieldManager: options?.fieldManager,
    dryRun: options?.dryRun === true ? "All" : undefined,
    fieldValidation: options?.fieldValidation,
  });

  const whole = <T extends KubeObject>(kind: Kind<T>, object: NewObject<T>): unknown => ({
    ...object,
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
  });

  async function* watchBatches<T extends KubeObject>(
    kind: Kind<T>,
    options: WatchOptions = {},
  ): AsyncIterable<readonly WatchEvent<T>[]> {
    const path = pathOf(kind, namespaceOf(options));
    const doing = `watch ${kind.plural}`;
    const message = await http.open({
      method: "GET",
      path,
      query: {
        watch: true,
        ...selectionOf(options),
        resourceVersion: options.resourceVersion,
        timeoutSeconds: options.timeoutSeconds,
        allowWatchBookmarks: options.bookmarks === false ? undefined : true,
      },
      ...signalOf(options),
    });
    if (message.statusCode !== 200) throw await refusal(message, doing);
    const silence = options.silenceMs === undefined ? undefined : silenceGuard(message, options.silenceMs);
    try {
      for await (const lines of lineBatches(message, maxLineBytes)) {
        silence?.heard();
        const events = lines.filter((line) => line !== "").map((line) => readEvent(kind, line, doing));
        if (events.length > 0) yield events;
      }
    } catch (error) {
      if (options.signal?.aborted === true) throw options.signal.reason;
      throw fromTransport(error, doing);
    } finally {
      silence?.[Symbol.dispose]();
      message.destroy();
    }
  }

  return {
    get: (kind, ref, options) =>
      exchange({ method: "GET", path: pathOf(kind, ref), ...signalOf(options) }, (body) => kind.parse(body)),
    async list(kind, options = {}) {
      const body = await jsonOf(http, {
        method: "GET",
        path: pathOf(kind, namespaceOf(options)),
        query: {
          ...selectionOf(options),
          limit: options.limit,
          continue: options.continueToken,
          resourceVersion: options.resourceVersion,
        },
        ...signalOf(options),
      });
      return readList(kind, body);
    },
    async *watch(kind, options) {
      for await (const events of watchBatches(kind, options)) yield* events;
    },
    watchBatches,
    create: (kind, object, options) =>
      exchange(
        {
          method: "POST",
          path: pathOf(kind, namespaceOf(object.metadata)),
          query: write(options),
          body: whole(kind, object),
          ...signalOf(options),
        },
        (body) => kind.parse(body),
      ),
    replace: (kind, object, options) =>
      exchange(
        {
          method: "PUT",
          path: pathOf(kind, object.metadata),
          query: write(options),
          body: whole(kind, object),
          ...signalOf(options),
        },
        (body) => kind.parse(body),
      ),
    replaceStatus: (kind, object, options) =>
      exchange(
        {
          method: "PUT",
          path: pathOf(kind, object.metadata, "status"),
          query: write(options),
          body: whole(kind, object),
          ...signalOf(options),
        },
        (body) => kind.parse(body),
      ),
    patch: (kind, ref, patch, options) =>
      exchange(
        {
          method: "PATCH",
          path: pathOf(kind, ref, options?.subresource),
          query: {
            ...write(options),
            ...(patch.t === "apply" ? { fieldManager: patch.fieldManager, force: patch.force } : {}),
          },
          body: patch.body,
          contentType: patchTypes[patch.t],
          ...signalOf(options),
        },
        (body) => kind.parse(body),
      ),
    async delete(kind, ref, options) {
      await jsonOf(http, {
        method: "DELETE",
        path: pathOf(kind, ref),
        query: { dryRun: options?.dryRun === true ? "All" : undefined },
        body: {
          apiVersion: "v1",
          kind: "DeleteOptions",
          ...(options?.propagationPolicy === undefined ? {} : { propagationPolicy: options.propagationPolicy }),
          ...(options?.gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds: options.gracePeriodSeconds }),
          ...(options?.preconditions === undefined ? {} : { preconditions: options.preconditions }),
        },
        ...signalOf(options),
      });
    },
    issueToken: (serviceAccount, request, options) =>
      exchange(
        {
          method: "POST",
          path: `/api/v1/namespaces/${encodeURIComponent(serviceAccount.namespace ?? "default")}/serviceaccounts/${encodeURIComponent(serviceAccount.name)}/token`,
          body: {
            apiVersion: "authentication.k8s.io/v1",
            kind: "TokenRequest",
            spec: {
              audiences: request.audiences ?? [],
              expirationSeconds: request.expirationSeconds ?? 3_600,
              ...(request.boundTo === undefined ? {} : { boundObjectRef: { apiVersion: "v1", ...request.boundTo } }),
            },
          },
          ...signalOf(options),
        },
        parseTokenRequest,
      ).then((answer) => answer.status),
    reviewToken: (request, options) =>
      exchange(
        {
          method: "POST",
          path: "/apis/authentication.k8s.io/v1/tokenreviews",
          body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: request },
          ...signalOf(options),
        },
        parseTokenReview,
      ).then((answer) => answer.status),
    async logs(pod, options = {}) {
      const message = await http.open({
        method: "GET",
        path: `/api/v1/namespaces/${encodeURIComponent(pod.namespace ?? "default")}/pods/${encodeURIComponent(pod.name)}/log`,
        query: {
          container: options.container,
          follow: options.follow,
          tailLines: options.tailLines,
          sinceSeconds: options.sinceSeconds,
          timestamps: options.timestamps,
          previous: options.previous,
        },
        accept: "*/*",
        ...signalOf(options),
      });
      if (message.statusCode !== 200) throw await refusal(message, `logs of ${pod.name}`);
      return message;
    },
    portForward: (pod, port, options) => openPortForward(http, pod, port, options?.signal),
    request: (call) => http.send(call),
    [Symbol.asyncDispose]: () => http[Symbol.asyncDispose](),
  };
}

function signalOf(options: CallOptions | undefined): { readonly signal?: AbortSignal } {
  return options?.signal === undefined ? {} : { signal: options.signal };
}

function namespaceOf(where: { readonly namespace?: string }): { readonly namespace?: string } {
  return where.namespace === undefined ? {} : { namespace: where.namespace };
}

function selectionOf(selection: Selection): Query {
  return { labelSelector: selection.labelSelector, fieldSelector: selection.fieldSelector };
}

async function jsonOf(http: Http, call: HttpCall): Promise<unknown> {
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

async function refusal(message: IncomingMessage, doing: string): Promise<KubeError> {
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

function readList<T extends KubeObject>(kind: Kind<T>, body: unknown): ObjectList<T> {
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

function readEvent<T extends KubeObject>(kind: Kind<T>, line: string, doing: string): WatchEvent<T> {
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
function silenceGuard(message: IncomingMessage, silenceMs: number): Disposable & { heard(): void } {
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
