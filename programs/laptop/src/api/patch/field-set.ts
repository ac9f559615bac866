import { isRecord } from "@weft/kube";
import { fieldSchema, mapKeys, type Schema } from "../../kinds/schema.js";

/**
 * The fields of an object by path, as `managedFields` tells them apart: `f:name` a field, `k:{…}` an object of a keyed list, `v:…` a value of a
 * set, and `.` the object of a keyed list itself. A path is written as JSON, so that it can be a key.
 */
export type FieldPath = readonly string[];

/** The leaves of an object: each path with the value there. What is replaced whole is one leaf. */
export function leavesOf(object: unknown, schema: Schema | undefined): Map<string, unknown> {
  const leaves = new Map<string, unknown>();
  if (!isRecord(object)) return leaves;
  for (const [name, value] of Object.entries(object)) {
    if (name === "apiVersion" || name === "kind") continue;
    if (name === "metadata") {
      for (const [field, entry] of Object.entries(isRecord(value) ? value : {})) {
        if (!ownedMetadata.has(field)) continue;
        collect(entry, fieldSchema(fieldSchema(schema, "metadata"), field), ["f:metadata", `f:${field}`], leaves);
      }
      continue;
    }
    collect(value, fieldSchema(schema, name), [`f:${name}`], leaves);
  }
  return leaves;
}

/** The metadata that managers own; the rest is the server's. */
const ownedMetadata = new Set(["labels", "annotations", "finalizers", "ownerReferences", "generateName"]);

function collect(value: unknown, schema: Schema | undefined, path: FieldPath, leaves: Map<string, unknown>): void {
  if (value === undefined) return;
  if (isRecord(value) && schema?.["x-kubernetes-map-type"] !== "atomic") {
    const entries = Object.entries(value);
    if (entries.length === 0) leaves.set(JSON.stringify(path), value);
    for (const [name, entry] of entries) collect(entry, fieldSchema(schema, name), [...path, `f:${name}`], leaves);
    return;
  }
  if (Array.isArray(value) && value.length > 0) {
    const keys = mapKeys(schema);
    if (keys !== undefined && value.every(isRecord)) {
      for (const item of value) {
        const itemPath = [...path, itemKey(item, keys, schema?.items)];
        leaves.set(JSON.stringify([...itemPath, "."]), undefined);
        for (const [name, entry] of Object.entries(item)) {
          collect(entry, fieldSchema(schema?.items, name), [...itemPath, `f:${name}`], leaves);
        }
      }
      return;
    }
    if (schema?.["x-kubernetes-list-type"] === "set") {
      for (const entry of value) leaves.set(JSON.stringify([...path, `v:${JSON.stringify(entry)}`]), entry);
      return;
    }
  }
  leaves.set(JSON.stringify(path), value);
}

/** `k:{"containerPort":80,"protocol":"TCP"}`: the keys of an item, defaults filled in. */
export function itemKey(item: unknown, keys: readonly string[], schema: Schema | undefined): string {
  const found = [...keys].sort().map((key) => {
    const value = isRecord(item) ? item[key] : undefined;
    return [key, value ?? fieldSchema(schema, key)?.default] as const;
  });
  return `k:${JSON.stringify(Object.fromEntries(found.filter(([, value]) => value !== undefined)))}`;
}

/** The paths of a `fieldsV1`. */
export function pathsOf(fields: unknown): Set<string> {
  const paths = new Set<string>();
  const visit = (node: unknown, path: FieldPath): void => {
    const entries = Object.entries(isRecord(node) ? node : {});
    if (entries.length === 0 && path.length > 0) paths.add(JSON.stringify(path));
    for (const [key, child] of entries) {
      if (key === ".") paths.add(JSON.stringify([...path, key]));
      else visit(child, [...path, key]);
    }
  };
  visit(fields, []);
  return paths;
}

/** The `fieldsV1` of paths. */
export function fieldsOf(paths: Iterable<string>): Readonly<Record<string, unknown>> {
  const root: Tree = new Map();
  for (const path of paths) {
    let node = root;
    for (const step of parsePath(path)) {
      const next: Tree = node.get(step) ?? new Map();
      node.set(step, next);
      node = next;
    }
  }
  return plain(root);
}

interface Tree extends Map<string, Tree> {}

function plain(tree: Tree): Readonly<Record<string, unknown>> {
  return Object.fromEntries([...tree].map(([key, child]) => [key, plain(child)]));
}

export function parsePath(path: string): FieldPath {
  return JSON.parse(path) as FieldPath;
}

/** A path as upstream shows it in conflicts: `.spec.template.spec.containers[name="app"].image`. */
export function showPath(path: string): string {
  return parsePath(path)
    .filter((step) => step !== ".")
    .map((step) => {
      const rest = step.slice(2);
      if (step.startsWith("f:")) return `.${rest}`;
      if (step.startsWith("v:")) return `[=${rest}]`;
      const keys: unknown = JSON.parse(rest);
      const pairs = Object.entries(isRecord(keys) ? keys : {}).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
      return `[${pairs.join(",")}]`;
    })
    .join("");
}

/** Takes what is at a path out of an object; gives the object back as it is when nothing is there. */
export function removePath(value: unknown, path: FieldPath, schema: Schema | undefined): unknown {
  const [step, ...rest] = path;
  if (step === undefined || step === ".") return value;
  if (step.startsWith("f:")) {
    const name = step.slice(2);
    if (!isRecord(value) || value[name] === undefined) return value;
    if (rest.length === 0) {
      const { [name]: _gone, ...left } = value;
      return left;
    }
    return { ...value, [name]: removePath(value[name], rest, fieldSchema(schema, name)) };
  }
  if (!Array.isArray(value)) return value;
  if (step.startsWith("v:")) return value.filter((entry) => `v:${JSON.stringify(entry)}` !== step);
  const keys = mapKeys(schema) ?? [];
  const whole = rest.length === 0 || (rest.length === 1 && rest[0] === ".");
  return value.flatMap((item: unknown) => {
    if (itemKey(item, keys, schema?.items) !== step) return [item];
    return whole ? [] : [removePath(item, rest, schema?.items)];
  });
}
