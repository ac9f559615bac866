import { randomBytes } from "node:crypto";
import { isRecord } from "@weft/kube";
import { listAt, numberAt, recordAt, sameJson, textAt } from "../kinds/path.js";
import type { Cause, Json, ResourceKind } from "../kinds/resource-kind.js";
import { invalid } from "../kinds/rules.js";
import { jsonPatch } from "./patch/json-patch.js";
import { mergePatch } from "./patch/merge-patch.js";
import { strategicPatch } from "./patch/strategic-patch.js";
import { ApiError, badRequest, invalidObject } from "./status.js";

/** The small decisions that writing an object is made of. */

export type PatchType = "merge" | "json" | "strategic" | "apply";

/** An object with a patch applied. Throws 400 for what is no patch, 415 for one that the kind does not take. */
export function patchWith(type: PatchType, kind: ResourceKind, old: Json, body: unknown): unknown {
  if (type === "json") return jsonPatch(old, body);
  if (!isRecord(body)) throw badRequest("the patch is not a JSON object");
  if (type === "merge") return mergePatch(old, body);
  if (!kind.builtIn) {
    throw new ApiError(
      415,
      "UnsupportedMediaType",
      "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
    );
  }
  return strategicPatch(old, body, kind.schema);
}

/** The refusal of unknown fields under Strict. */
export function strictError(kind: ResourceKind, version: string, what: string, from: "body" | "patch"): ApiError {
  const strict = `strict decoding error: ${what}`;
  if (from === "patch" && kind.builtIn) {
    return invalidObject({ group: "", plural: "", kind: "" }, "", [invalid("patch", "patch", strict)]);
  }
  return badRequest(`${kind.kind} in version "${version}" cannot be handled as a ${kind.kind}: ${strict}`);
}

/** Whether a cause is about the status. */
export const isStatus = (cause: Cause): boolean => /^status(\.|\[|$)/.test(cause.field);

/** Fills in what the kind itself knows. */
export function finish(kind: ResourceKind, object: Json): Json {
  return kind.complete?.(object) ?? object;
}

/** These fields of a metadata, those that are there. */
export function keep(metadata: Json, fields: readonly string[]): Json {
  const kept = fields.map((field) => [field, metadata[field]] as const);
  return Object.fromEntries(kept.filter(([, value]) => value !== undefined && value !== null));
}

/** The object with some of its metadata changed. */
export function withMetadata(object: Json, change: Json): Json {
  return { ...object, metadata: { ...recordAt(object, "metadata"), ...change } };
}

/** The old object with the status that was sent. */
export function withStatus(old: Json, sent: Json): Json {
  const { status: _old, ...rest } = old;
  return sent["status"] === undefined ? rest : { ...rest, status: sent["status"] };
}

/** What `generation` counts: everything but metadata and status. */
export function specOf(kind: ResourceKind, object: Json): Json {
  const { metadata: _metadata, status, apiVersion: _version, ...spec } = object;
  return kind.hasStatus ? spec : { ...spec, status };
}

/** What is wrong with new finalizers on an object that is being deleted. */
export function addedFinalizers(old: Json, now: Json): readonly Cause[] {
  if (textAt(old, "deletionTimestamp") === "") return [];
  const known = new Set(listAt(old, "finalizers"));
  const added = listAt(now, "finalizers").filter((finalizer) => !known.has(finalizer));
  if (added.length === 0) return [];
  return [
    {
      field: "metadata.finalizers",
      reason: "FieldValueForbidden",
      message: `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`,
    },
  ];
}

/** The same managers with the same fields, whenever they wrote. */
export function sameOwners(a: readonly unknown[], b: readonly unknown[]): boolean {
  const timeless = (owners: readonly unknown[]): readonly unknown[] =>
    owners.map((owner) => ({ ...(isRecord(owner) ? owner : {}), time: "" }));
  return sameJson(timeless(a), timeless(b));
}

/** How long a Pod may take to end: nothing for one that never began or has ended. */
export function podGrace(pod: Json, asked: number | undefined): number {
  const phase = textAt(pod, "status", "phase");
  if (textAt(pod, "spec", "nodeName") === "" || phase === "Succeeded" || phase === "Failed") return 0;
  return Math.max(0, asked ?? numberAt(pod, "spec", "terminationGracePeriodSeconds") ?? 30);
}

const suffixLetters = "bcdfghjklmnpqrstvwxz2456789";

/** The end of a generated name. */
export function randomSuffix(): string {
  return [...randomBytes(5)].map((byte) => suffixLetters[byte % suffixLetters.length]).join("");
}
