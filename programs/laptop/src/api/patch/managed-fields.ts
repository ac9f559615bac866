import { isRecord } from "@weft/kube";
import { listAt, sameJson, textAt } from "../../kinds/path.js";
import type { Cause, Json } from "../../kinds/resource-kind.js";
import { fieldSchema, mapKeys, type Schema } from "../../kinds/schema.js";
import { fieldsOf, itemKey, leavesOf, parsePath, pathsOf, removePath, showPath } from "./field-set.js";

/** Who set which fields, and how. */
interface Owner {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly subresource: string;
  readonly time: string;
  readonly apiVersion: string;
  readonly paths: Set<string>;
}

export interface Writer {
  readonly manager: string;
  readonly subresource: string;
  readonly apiVersion: string;
  /** RFC 3339. */
  readonly time: string;
}

/** `metadata.managedFields` after a create, update or patch: who changed a field owns it, alone. */
export function trackUpdate(old: Json | undefined, now: Json, schema: Schema, writer: Writer): readonly unknown[] {
  const before = leavesOf(old, schema);
  const after = leavesOf(now, schema);
  const changed = [...after]
    .filter(([path, value]) => !before.has(path) || !sameJson(before.get(path), value))
    .map(([path]) => path);
  const gone = [...before.keys()].filter((path) => !after.has(path));
  const owners = readOwners(old);
  if (changed.length === 0 && gone.length === 0) return listAt(old, "metadata", "managedFields");
  // Upstream's scale takes over a number that somebody has, and leaves one that is nobody's so.
  const owned = changed.some((path) => owners.some(({ paths }) => paths.has(path)));
  if (writer.subresource === "scale" && !owned) return listAt(old, "metadata", "managedFields");
  const isWriter = (owner: Owner): boolean =>
    owner.manager === writer.manager && owner.operation === "Update" && owner.subresource === writer.subresource;
  for (const owner of owners) {
    for (const path of gone) owner.paths.delete(path);
    if (!isWriter(owner)) for (const path of changed) if (!path.endsWith('"."]')) owner.paths.delete(path);
  }
  const mine = owners.find(isWriter);
  const paths = new Set([...(mine?.paths ?? []), ...changed]);
  const others = owners.filter((owner) => owner !== mine);
  return writeOwners([...others, { ...writer, operation: "Update", paths }]);
}

export type Applied =
  | { readonly t: "applied"; readonly object: unknown; readonly managedFields: readonly unknown[] }
  | { readonly t: "conflict"; readonly causes: readonly Cause[]; readonly managers: readonly string[] };

/**
 * Server-side apply: the intent of one manager laid over the object. A field of another manager with another value is a conflict, unless
 * forced; a field that this manager applied before and no longer names goes away, unless somebody else has it too.
 */
export function applyIntent(
  live: Json | undefined,
  intent: Json,
  schema: Schema,
  writer: Writer,
  force: boolean,
): Applied {
  const wanted = leavesOf(intent, schema);
  const current = leavesOf(live, schema);
  const owners = readOwners(live);
  const isWriter = (owner: Owner): boolean =>
    owner.manager === writer.manager && owner.operation === "Apply" && owner.subresource === writer.subresource;
  const mine = owners.find(isWriter);
  const others = owners.filter((owner) => owner !== mine);

  const causes: Cause[] = [];
  const managers = new Set<string>();
  for (const [path, value] of wanted) {
    if (!current.has(path) || sameJson(current.get(path), value)) continue;
    for (const owner of others) {
      if (!owner.paths.has(path)) continue;
      if (force) owner.paths.delete(path);
      else {
        managers.add(owner.manager);
        const using = owner.operation === "Update" ? ` using ${owner.apiVersion}` : "";
        causes.push({
          field: showPath(path),
          reason: "FieldManagerConflict",
          message: `conflict with ${JSON.stringify(owner.manager)}${using}`,
        });
      }
    }
  }
  if (causes.length > 0) return { t: "conflict", causes, managers: [...managers] };

  let object = layOver(live, intent, schema);
  const held = (path: string): boolean => {
    const prefix = path.slice(0, path.endsWith(',"."]') ? -4 : -1);
    return others.some((owner) => [...owner.paths].some((other) => other === path || other.startsWith(`${prefix},`)));
  };
  for (const path of mine?.paths ?? []) {
    if (!wanted.has(path) && !held(path)) object = removePath(object, parsePath(path), schema);
  }
  const managedFields = writeOwners([...others, { ...writer, operation: "Apply", paths: new Set(wanted.keys()) }]);
  return { t: "applied", object, managedFields };
}

function layOver(live: unknown, intent: unknown, schema: Schema | undefined): unknown {
  if (isRecord(intent)) {
    if (!isRecord(live) || schema?.["x-kubernetes-map-type"] === "atomic") return intent;
    const result: Record<string, unknown> = { ...live };
    for (const [name, value] of Object.entries(intent)) {
      result[name] = layOver(live[name], value, fieldSchema(schema, name));
    }
    return result;
  }
  if (!Array.isArray(intent) || !Array.isArray(live)) return intent;
  const keys = mapKeys(schema);
  if (keys !== undefined) {
    const result: unknown[] = [...live];
    const place = new Map(live.map((item, index) => [itemKey(item, keys, schema?.items), index]));
    for (const item of intent) {
      const index = place.get(itemKey(item, keys, schema?.items));
      if (index === undefined) result.push(item);
      else result[index] = layOver(live[index], item, schema?.items);
    }
    return result;
  }
  if (schema?.["x-kubernetes-list-type"] !== "set") return intent;
  return [...live, ...intent.filter((entry) => !live.some((known) => sameJson(known, entry)))];
}

function readOwners(object: Json | undefined): readonly Owner[] {
  return listAt(object, "metadata", "managedFields").map((entry) => ({
    manager: textAt(entry, "manager"),
    operation: textAt(entry, "operation") === "Apply" ? "Apply" : "Update",
    subresource: textAt(entry, "subresource"),
    time: textAt(entry, "time"),
    apiVersion: textAt(entry, "apiVersion"),
    paths: pathsOf(isRecord(entry) ? entry["fieldsV1"] : undefined),
  }));
}

function writeOwners(owners: readonly Owner[]): readonly unknown[] {
  return owners
    .filter((owner) => owner.paths.size > 0)
    .map(({ manager, operation, subresource, time, apiVersion, paths }) => ({
      manager,
      operation,
      apiVersion,
      time,
      fieldsType: "FieldsV1",
      fieldsV1: fieldsOf(paths),
      ...(subresource === "" ? {} : { subresource }),
    }));
}
