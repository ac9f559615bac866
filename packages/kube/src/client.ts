import type { Duplex } from "node:stream";
import type { Parsed } from "@weft/foundation";
import { jsonOf, type ObjectList, readEvent, readList, refusal, silenceGuard, type WatchEvent } from "./answers.js";
import { fromTransport, KubeError } from "./error.js";
import { createHttp, type HttpAnswer, type HttpCall, type KubeServer, lineBatches } from "./http.js";
import { type IssuedToken, parseTokenRequest, parseTokenReview, type TokenReviewStatus } from "./kinds/access.js";
import { apiVersionOf, type Kind, type KubeObject, type NewObject, type ObjectRef } from "./object.js";
import { openPortForward } from "./port-forward.js";

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
  /** Called when the server has taken the watch: whatever changes from then on is on its way. */
  readonly onOpen?: () => void;
}

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
    options.onOpen?.();
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
