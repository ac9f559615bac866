import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "@weft/foundation";
import { isRecord } from "@weft/kube";
import { at, numberAt, recordAt, textAt } from "../kinds/path.js";
import type { ResourceKind } from "../kinds/resource-kind.js";
import { deletedStatus, type Form, listText, objectText, sendText, setWarnings } from "./answer.js";
import type { Lister } from "./lister.js";
import type { PatchType } from "./object-parts.js";
import type { ApiObjects, DeleteTerms, WriteTarget } from "./objects.js";
import { jsonPatch } from "./patch/json-patch.js";
import { mergePatch } from "./patch/merge-patch.js";
import { answerForm, type RequestPath, readBody } from "./request.js";
import { scaleOf } from "./reviews.js";
import { type Predicate, parseFieldSelector, parseLabelSelector } from "./selectors.js";
import { ApiError, badRequest, methodNotAllowed, noSuchPath } from "./status.js";
import type { ObjectStore } from "./store.js";
import { streamWatch } from "./watch.js";

/** One request for objects of a kind. */
export interface ResourceCall {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: Extract<RequestPath, { readonly t: "resource" }>;
  readonly query: URLSearchParams;
  readonly kind: ResourceKind;
}

export interface ResourceContext {
  readonly store: ObjectStore;
  readonly objects: ApiObjects;
  readonly lister: Lister;
  readonly clock: Clock;
}

/** Reads and writes objects over HTTP. */
export async function serveResource(call: ResourceCall, context: ResourceContext): Promise<void> {
  const { path, request, kind } = call;
  const scope = path.subresource;
  if (scope !== "" && !(scope === "status" && kind.hasStatus) && !(scope === "scale" && kind.scale)) throw noSuchPath();
  if (kind.namespaced && path.namespace === "" && (path.name !== "" || request.method === "POST")) throw noSuchPath();
  if (!kind.namespaced && path.namespace !== "") throw noSuchPath();
  if (scope === "scale") return serveScale(call, context);
  if (path.name === "") return serveCollection(call, context);
  return serveObject(call, context);
}

async function serveCollection(call: ResourceCall, context: ResourceContext): Promise<void> {
  switch (call.request.method) {
    case "GET":
      if (call.query.get("watch") === "true" || call.query.get("watch") === "1") watch(call, context);
      else list(call, context);
      return;
    case "POST": {
      const target = targetOf(call);
      const object = context.objects.create(target, await readBody(call.request));
      setWarnings(call.response, target.warnings);
      sendText(call.response, 201, objectText(object, formOf(call, context)));
      return;
    }
    case "DELETE":
      return deleteCollection(call, context);
    default:
      throw methodNotAllowed();
  }
}

async function serveObject(call: ResourceCall, context: ResourceContext): Promise<void> {
  const { kind, path, request, response } = call;
  const { objects } = context;
  switch (request.method) {
    case "GET":
      return sendText(response, 200, objectText(objects.get(kind, path.namespace, path.name), formOf(call, context)));
    case "PUT": {
      const target = targetOf(call);
      const object = objects.replace(target, path.name, await readBody(request));
      setWarnings(response, target.warnings);
      return sendText(response, 200, objectText(object, formOf(call, context)));
    }
    case "PATCH": {
      const target = targetOf(call);
      const type = patchTypeOf(request);
      if (type === "apply" && call.query.get("fieldManager") === null) {
        throw new ApiError(
          422,
          "Invalid",
          'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
        );
      }
      const existed = context.store.get(kind, path.namespace, path.name) !== undefined;
      const force = call.query.get("force") === "true";
      const object = objects.patch(target, path.name, type, await readBody(request), force);
      setWarnings(response, target.warnings);
      return sendText(response, existed ? 200 : 201, objectText(object, formOf(call, context)));
    }
    case "DELETE": {
      if (path.subresource !== "") throw methodNotAllowed();
      const terms = deleteTerms(call, await readBody(request));
      const deleted = objects.remove(kind, path.namespace, path.name, terms);
      const text =
        deleted.t === "gone" && kind.kind !== "Pod"
          ? JSON.stringify(deletedStatus(kind, deleted.object))
          : objectText(deleted.object, formOf(call, context));
      return sendText(response, 200, text);
    }
    default:
      throw methodNotAllowed();
  }
}

function list(call: ResourceCall, context: ResourceContext): void {
  const page = context.lister.list({
    kind: call.kind,
    namespace: call.path.namespace,
    matches: selectionOf(call),
    limit: whole(call.query, "limit"),
    continueToken: call.query.get("continue") ?? "",
    resourceVersion: call.query.get("resourceVersion") ?? "",
    exact: call.query.get("resourceVersionMatch") === "Exact",
  });
  sendText(call.response, 200, listText(page.objects, page.metadata, formOf(call, context)));
}

function watch(call: ResourceCall, context: ResourceContext): void {
  const version = call.query.get("resourceVersion") ?? "";
  const after = version === "" || version === "0" ? undefined : Number(version);
  if (after !== undefined && (!Number.isSafeInteger(after) || after < 0)) {
    throw badRequest(`resourceVersion: Invalid value: ${JSON.stringify(version)}: strconv.ParseUint: invalid syntax`);
  }
  const asked = whole(call.query, "timeoutSeconds");
  streamWatch(
    call.response,
    {
      form: formOf(call, context),
      namespace: call.path.namespace,
      matches: selectionOf(call),
      after,
      initialEvents: call.query.get("sendInitialEvents") === "true",
      bookmarks: call.query.get("allowWatchBookmarks") === "true",
      timeoutSeconds: asked === 0 ? 1_800 + Math.random() * 1_800 : asked,
    },
    context.store,
    context.clock,
  );
}

async function deleteCollection(call: ResourceCall, context: ResourceContext): Promise<void> {
  const terms = deleteTerms(call, await readBody(call.request));
  const matches = selectionOf(call);
  const found = context.store.list(call.kind, call.path.namespace).filter(matches);
  for (const object of found) {
    const { namespace, name } = recordAt(object, "metadata");
    context.objects.remove(call.kind, typeof namespace === "string" ? namespace : "", String(name), terms);
  }
  const metadata = { resourceVersion: String(context.store.version) };
  sendText(call.response, 200, listText(found, metadata, formOf(call, context)));
}

/** `scale`: the number of replicas, whatever the kind. */
async function serveScale(call: ResourceCall, context: ResourceContext): Promise<void> {
  const { kind, path, request, response } = call;
  const object = context.objects.get(kind, path.namespace, path.name);
  const scale = scaleOf(object);
  if (request.method === "GET") return sendText(response, 200, JSON.stringify(scale));
  if (request.method !== "PUT" && request.method !== "PATCH") throw methodNotAllowed();
  const body = await readBody(request);
  const wanted =
    request.method === "PUT"
      ? body
      : patchTypeOf(request) === "json"
        ? jsonPatch(scale, body)
        : mergePatch(scale, body);
  const replicas = numberAt(wanted, "spec", "replicas");
  if (!isRecord(wanted) || replicas === undefined) throw badRequest("spec.replicas is not a number");
  const version = textAt(wanted, "metadata", "resourceVersion");
  const changed = context.objects.patch(
    { ...targetOf(call), subresource: "", owner: "scale" },
    path.name,
    "merge",
    { metadata: version === "" ? {} : { resourceVersion: version }, spec: { replicas } },
    false,
  );
  sendText(response, 200, JSON.stringify(scaleOf(changed)));
}

function selectionOf(call: ResourceCall): Predicate {
  const labels = parseLabelSelector(call.query.get("labelSelector") ?? "");
  const fields = parseFieldSelector(call.query.get("fieldSelector") ?? "", call.kind);
  return (object) => labels(object) && fields(object);
}

function formOf(call: ResourceCall, context: ResourceContext): Form {
  const include = call.query.get("includeObject");
  return {
    kind: call.kind,
    version: call.path.version,
    form: answerForm(call.request.headers.accept),
    include: include === "None" || include === "Object" ? include : "Metadata",
    nowMs: context.clock.wallMs(),
  };
}

function targetOf(call: ResourceCall): WriteTarget {
  const { query, path, kind, request } = call;
  const dryRun = query.getAll("dryRun");
  if (dryRun.some((value) => value !== "All")) {
    throw new ApiError(
      422,
      "Invalid",
      ` "" is invalid: dryRun: Unsupported value: ${JSON.stringify(dryRun[0])}: supported values: "All"`,
    );
  }
  const validation = query.get("fieldValidation") ?? "";
  return {
    kind,
    version: path.version,
    namespace: path.namespace,
    subresource: path.subresource === "status" ? "status" : "",
    manager: query.get("fieldManager") ?? request.headers["user-agent"]?.split("/")[0] ?? "unknown",
    dryRun: dryRun.length > 0,
    fieldValidation: validation === "Strict" || validation === "Ignore" ? validation : "Warn",
    warnings: [],
  };
}

const patchTypes: Readonly<Record<string, PatchType>> = {
  "application/merge-patch+json": "merge",
  "application/json-patch+json": "json",
  "application/strategic-merge-patch+json": "strategic",
  "application/apply-patch+yaml": "apply",
  "application/apply-patch+json": "apply",
};

function patchTypeOf(request: IncomingMessage): PatchType {
  const type = patchTypes[(request.headers["content-type"] ?? "").split(";")[0]?.trim() ?? ""];
  if (type !== undefined) return type;
  throw new ApiError(
    415,
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${Object.keys(patchTypes).join(", ")}`,
  );
}

function deleteTerms(call: ResourceCall, body: unknown): DeleteTerms {
  const options = isRecord(body) ? body : {};
  const policy = textAt(options, "propagationPolicy") || (call.query.get("propagationPolicy") ?? "");
  const graceText = call.query.get("gracePeriodSeconds");
  const grace =
    numberAt(options, "gracePeriodSeconds") ??
    (graceText === null ? undefined : whole(call.query, "gracePeriodSeconds"));
  const uid = at(options, "preconditions", "uid");
  const resourceVersion = at(options, "preconditions", "resourceVersion");
  const dryRun = Array.isArray(options["dryRun"]) ? options["dryRun"].length > 0 : call.query.has("dryRun");
  return {
    propagationPolicy: policy === "Foreground" || policy === "Orphan" ? policy : "Background",
    gracePeriodSeconds: grace,
    uid: typeof uid === "string" ? uid : undefined,
    resourceVersion: typeof resourceVersion === "string" ? resourceVersion : undefined,
    dryRun,
  };
}

function whole(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? "";
  if (text === "") return 0;
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw badRequest(`${name}: Invalid value: ${JSON.stringify(text)}: must be a whole number, not below 0`);
}
