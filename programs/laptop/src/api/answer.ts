import type { ServerResponse } from "node:http";
import { recordAt, textAt } from "../kinds/path.js";
import { groupVersion, type Json, type ResourceKind } from "../kinds/resource-kind.js";
import type { AnswerForm } from "./request.js";
import { type ApiError, statusOf } from "./status.js";
import { type IncludeObject, partial, tableOf } from "./tables.js";

/** How objects go out: in which version, in which form. */
export interface Form {
  readonly kind: ResourceKind;
  readonly version: string;
  readonly form: AnswerForm;
  readonly include: IncludeObject;
  readonly nowMs: number;
}

/** Objects never change, so neither does their text: a watch with many readers writes it once. */
const texts = new WeakMap<Json, string>();

export function textOf(object: Json): string {
  const known = texts.get(object);
  if (known !== undefined) return known;
  const text = JSON.stringify(object);
  texts.set(object, text);
  return text;
}

/** An object in the version that was asked for. */
function inVersion(object: Json, kind: ResourceKind, version: string): Json {
  return version === kind.versions[0] ? object : { ...object, apiVersion: groupVersion(kind, version) };
}

/** The text of one object in the form that was asked for. */
export function objectText(object: Json, form: Form): string {
  const shown = inVersion(object, form.kind, form.version);
  if (form.form === "object") return textOf(shown);
  if (form.form === "metadata") return JSON.stringify(partial(shown));
  const metadata = { resourceVersion: textAt(object, "metadata", "resourceVersion") };
  return JSON.stringify(tableOf({ ...form, objects: [shown], metadata }));
}

/** The text of a list in the form that was asked for. */
export function listText(objects: readonly Json[], metadata: Json, form: Form): string {
  const shown = objects.map((object) => inVersion(object, form.kind, form.version));
  if (form.form === "table") return JSON.stringify(tableOf({ ...form, objects: shown, metadata }));
  const partialList = form.form === "metadata";
  const head = {
    kind: partialList ? "PartialObjectMetadataList" : `${form.kind.kind}List`,
    apiVersion: partialList ? "meta.k8s.io/v1" : groupVersion(form.kind, form.version),
    metadata,
  };
  const items = shown.map((object) => (partialList ? JSON.stringify(partial(object)) : textOf(object)));
  return `${JSON.stringify(head).slice(0, -1)},"items":[${items.join(",")}]}`;
}

/** The Status of a delete that is done. */
export function deletedStatus(kind: ResourceKind, object: Json): Json {
  const { name, uid } = recordAt(object, "metadata");
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    details: { name, ...(kind.group === "" ? {} : { group: kind.group }), kind: kind.plural, uid },
  };
}

export function sendText(response: ServerResponse, code: number, text: string, type = "application/json"): void {
  response.writeHead(code, {
    "content-type": type,
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-cache, private",
    "x-content-type-options": "nosniff",
  });
  response.end(text);
}

export function sendError(response: ServerResponse, error: ApiError): void {
  if (error.retryAfterSeconds !== undefined) response.setHeader("retry-after", String(error.retryAfterSeconds));
  if (error.code === 401) response.setHeader("www-authenticate", "Bearer");
  sendText(response, error.code, JSON.stringify(statusOf(error)));
}

/** RFC 9111's Warning header, which kubectl prints. */
export function setWarnings(response: ServerResponse, warnings: readonly string[]): void {
  const quoted = warnings.map(
    (text) =>
      `299 - "${text
        .replaceAll("\\", "\\\\")
        .replaceAll('"', '\\"')
        .replace(/[^\x20-\x7e]/g, "?")}"`,
  );
  if (quoted.length > 0) response.setHeader("warning", quoted);
}
