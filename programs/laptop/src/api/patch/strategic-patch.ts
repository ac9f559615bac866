import { isRecord } from "@weft/kube";
import { sameJson } from "../../kinds/path.js";
import { fieldSchema, type Schema } from "../../kinds/schema.js";
import { badRequest } from "../status.js";

type Fields = Readonly<Record<string, unknown>>;

/**
 * Strategic merge patch: like a merge patch, but lists of objects are joined by their merge key, and directives say what a merge can't:
 * `$patch: replace|delete|merge`, `$deleteFromPrimitiveList/x`, `$setElementOrder/x`, `$retainKeys`.
 */
export function strategicPatch(target: unknown, patch: unknown, schema: Schema | undefined): unknown {
  if (!isRecord(patch)) return patch;
  return mergeObject(isRecord(target) ? target : {}, patch, schema);
}

function mergeObject(target: Fields, patch: Fields, schema: Schema | undefined): Fields {
  const directive = patch["$patch"];
  if (directive === "replace") return recordOr(withoutDirectives(patch));
  if (directive === "delete") return {};
  if (directive !== undefined && directive !== "merge")
    throw badRequest(`unknown $patch directive ${JSON.stringify(directive)}`);
  const retain = patch["$retainKeys"];
  const result: Record<string, unknown> = Array.isArray(retain)
    ? Object.fromEntries(Object.entries(target).filter(([key]) => retain.includes(key)))
    : { ...target };
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith("$")) continue;
    const inner = fieldSchema(schema, key);
    if (value === null) delete result[key];
    else if (Array.isArray(value)) result[key] = mergeList(result[key], value, inner, patch[`$setElementOrder/${key}`]);
    else if (isRecord(value)) result[key] = mergeObject(recordOr(result[key]), value, inner);
    else result[key] = value;
  }
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith("$deleteFromPrimitiveList/") && Array.isArray(value)) {
      const name = key.slice("$deleteFromPrimitiveList/".length);
      const list = result[name];
      if (Array.isArray(list)) result[name] = list.filter((entry) => !value.includes(entry));
    }
    if (!key.startsWith("$setElementOrder/")) continue;
    const name = key.slice("$setElementOrder/".length);
    const list = result[name];
    if (patch[name] === undefined && Array.isArray(list))
      result[name] = inOrder(list, value, fieldSchema(schema, name));
  }
  return result;
}

function recordOr(value: unknown): Fields {
  return isRecord(value) ? value : {};
}

function mergeKey(schema: Schema | undefined): string | undefined {
  return schema?.["x-kubernetes-patch-strategy"]?.includes("merge") === true
    ? schema["x-kubernetes-patch-merge-key"]
    : undefined;
}

function mergeList(
  target: unknown,
  patch: readonly unknown[],
  schema: Schema | undefined,
  order: unknown,
): readonly unknown[] {
  const current: readonly unknown[] = Array.isArray(target) ? target : [];
  const merges = schema?.["x-kubernetes-patch-strategy"]?.includes("merge") === true;
  if (!merges) return patch.map(withoutDirectives);
  const key = mergeKey(schema);
  if (key === undefined) {
    const added = patch.filter((entry) => !current.some((known) => sameJson(known, entry)));
    return inOrder([...current, ...added], order, schema);
  }
  if (patch.some((entry) => isRecord(entry) && entry["$patch"] === "replace")) {
    return patch
      .filter((entry) => !(isRecord(entry) && entry["$patch"] === "replace" && Object.keys(entry).length === 1))
      .map(withoutDirectives);
  }
  let result = [...current];
  for (const entry of patch) {
    if (!isRecord(entry)) throw badRequest(`a list merged by ${JSON.stringify(key)} holds something that is no object`);
    const id = entry[key];
    if (id === undefined) throw badRequest(`map: ${JSON.stringify(entry)} does not contain declared merge key: ${key}`);
    const same = (known: unknown): boolean => isRecord(known) && sameJson(known[key], id);
    if (entry["$patch"] === "delete") {
      result = result.filter((known) => !same(known));
      continue;
    }
    const index = result.findIndex(same);
    const merged = mergeObject(recordOr(result[index]), entry, schema?.items);
    if (index < 0) result.push(merged);
    else result[index] = merged;
  }
  return inOrder(result, order, schema);
}

/** Sorts what the order names as it says; everything else keeps its place after what stood before it. */
function inOrder(list: readonly unknown[], order: unknown, schema: Schema | undefined): readonly unknown[] {
  if (!Array.isArray(order)) return list;
  const key = mergeKey(schema);
  const idOf = (entry: unknown): string => JSON.stringify(key !== undefined && isRecord(entry) ? entry[key] : entry);
  const rank = new Map(order.map((entry, index) => [idOf(entry), index]));
  const ranked = list.filter((entry) => rank.has(idOf(entry)));
  ranked.sort((a, b) => (rank.get(idOf(a)) ?? 0) - (rank.get(idOf(b)) ?? 0));
  let next = 0;
  return list.map((entry) => (rank.has(idOf(entry)) ? ranked[next++] : entry));
}

/** The value without the keys that only speak to the server. */
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDirectives);
  if (!isRecord(value)) return value;
  const plain = Object.entries(value).filter(([key]) => !key.startsWith("$"));
  return Object.fromEntries(plain.map(([key, entry]) => [key, withoutDirectives(entry)]));
}
