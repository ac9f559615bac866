import { isRecord } from "@weft/kube";
import type { Cause } from "../kinds/resource-kind.js";
import { mapKeys, namedField, type Schema } from "../kinds/schema.js";

/** What a schema says of an object. */
export interface Judgement {
  /** The object without the fields that the schema does not know; the same object when there are none. */
  readonly pruned: unknown;
  /** Paths of the fields that were left out. */
  readonly unknown: readonly string[];
  /** Values of a type other than the field's: nothing else is judged then. */
  readonly mistyped: readonly Cause[];
  /** Everything else: limits, patterns, required fields. */
  readonly causes: readonly Cause[];
}

interface Findings {
  readonly unknown: string[];
  readonly mistyped: Cause[];
  readonly causes: Cause[];
}

/** Tests a string against a pattern of a schema. */
export type MatchPattern = (pattern: string, value: string) => boolean;

/** Judges an object by its schema; apiVersion, kind and metadata are judged by whoever writes them. */
export function judge(value: unknown, schema: Schema, matches: MatchPattern = matchPattern): Judgement {
  const found: Findings = { unknown: [], mistyped: [], causes: [] };
  const pruned = walk(value, schema, "", found, matches);
  return { pruned, ...found };
}

const compiled = new Map<string, RegExp>();

/** For patterns that stand in our own tables; those of others go through an engine of linear time. */
function matchPattern(pattern: string, value: string): boolean {
  let regex = compiled.get(pattern);
  if (regex === undefined) {
    regex = new RegExp(pattern);
    compiled.set(pattern, regex);
  }
  return regex.test(value);
}

const quantityFormat = /^[+-]?(\d+|\d+\.\d*|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$/;
/** RFC 3339, which is what upstream's Time and MicroTime take. */
const timeFormat = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

function walk(value: unknown, schema: Schema, path: string, found: Findings, matches: MatchPattern): unknown {
  if (value === null || value === undefined) return value;
  if (schema["x-kubernetes-int-or-string"] === true) {
    if (typeof value !== "number" && typeof value !== "string") mistyped(found, path, "integer or string", value);
    else if (schema.format === "quantity" && !quantityFormat.test(String(value))) {
      found.causes.push(
        wrong(
          path,
          value,
          "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
      );
    } else limits(value, schema, path, found, matches);
    return value;
  }
  switch (schema.type) {
    case "object":
      return walkObject(value, schema, path, found, matches);
    case "array":
      return walkList(value, schema, path, found, matches);
    case "integer":
      if (typeof value !== "number" || !Number.isInteger(value)) mistyped(found, path, "integer", value);
      else limits(value, schema, path, found, matches);
      return value;
    case "number":
    case "string":
    case "boolean":
      if (typeof value !== schema.type) mistyped(found, path, schema.type, value);
      else limits(value, schema, path, found, matches);
      return value;
    default:
      return value;
  }
}

function walkObject(value: unknown, schema: Schema, path: string, found: Findings, matches: MatchPattern): unknown {
  if (!isRecord(value)) {
    mistyped(found, path, "object", value);
    return value;
  }
  for (const name of schema.required ?? []) {
    if (value[name] === undefined || value[name] === null) {
      found.causes.push({ field: join(path, name), reason: "FieldValueRequired", message: "Required value" });
    }
  }
  const size = Object.keys(value).length;
  if (schema.maxProperties !== undefined && size > schema.maxProperties) {
    found.causes.push(many(path, size, schema.maxProperties));
  }
  let copy: Record<string, unknown> | undefined;
  for (const [name, entry] of Object.entries(value)) {
    const own = namedField(schema, name);
    const values = schema.additionalProperties;
    const inner = own ?? (typeof values === "object" ? values : undefined);
    if (inner === undefined) {
      if (values === true || schema["x-kubernetes-preserve-unknown-fields"] === true) continue;
      found.unknown.push(join(path, name));
      copy ??= { ...value };
      delete copy[name];
      continue;
    }
    const child = own === undefined ? `${path}[${name}]` : join(path, name);
    const walked = walk(entry, inner, own === undefined ? mapPath(path, name, child) : child, found, matches);
    if (walked === entry) continue;
    copy ??= { ...value };
    copy[name] = walked;
  }
  return copy ?? value;
}

/** Keys of maps are written like fields when they look like them. */
function mapPath(path: string, name: string, bracketed: string): string {
  return /^[A-Za-z_]\w*$/.test(name) ? join(path, name) : bracketed;
}

function walkList(value: unknown, schema: Schema, path: string, found: Findings, matches: MatchPattern): unknown {
  if (!Array.isArray(value)) {
    mistyped(found, path, "array", value);
    return value;
  }
  const entries: readonly unknown[] = value;
  if (schema.minItems !== undefined && entries.length < schema.minItems) {
    found.causes.push(wrong(path, entries.length, `${path} in body should have at least ${schema.minItems} items`));
  }
  if (schema.maxItems !== undefined && entries.length > schema.maxItems) {
    found.causes.push(many(path, entries.length, schema.maxItems));
  }
  duplicates(entries, schema, path, found);
  const item = schema.items;
  if (item === undefined) return value;
  let copy: unknown[] | undefined;
  for (const [index, entry] of entries.entries()) {
    const walked = walk(entry, item, `${path}[${index}]`, found, matches);
    if (walked === entry) continue;
    copy ??= [...entries];
    copy[index] = walked;
  }
  return copy ?? value;
}

function duplicates(entries: readonly unknown[], schema: Schema, path: string, found: Findings): void {
  const keys = mapKeys(schema);
  const set = schema["x-kubernetes-list-type"] === "set";
  if (keys === undefined && !set) return;
  const seen = new Set<string>();
  for (const [index, entry] of entries.entries()) {
    const identity = keys === undefined ? entry : keys.map((key) => (isRecord(entry) ? entry[key] : undefined));
    const text = JSON.stringify(identity);
    if (seen.has(text)) {
      const shown =
        keys === undefined || !isRecord(entry) ? entry : Object.fromEntries(keys.map((key) => [key, entry[key]]));
      found.causes.push({
        field: `${path}[${index}]`,
        reason: "FieldValueDuplicate",
        message: `Duplicate value: ${JSON.stringify(shown)}`,
      });
    }
    seen.add(text);
  }
}

function limits(value: unknown, schema: Schema, path: string, found: Findings, matches: MatchPattern): void {
  if (typeof value === "number") {
    const { minimum, maximum } = schema;
    if (minimum !== undefined && value < minimum) {
      found.causes.push(wrong(path, value, `${path} in body should be greater than or equal to ${minimum}`));
    }
    if (maximum !== undefined && value > maximum) {
      found.causes.push(wrong(path, value, `${path} in body should be less than or equal to ${maximum}`));
    }
  }
  if (typeof value === "string") {
    if (schema.minLength !== undefined && [...value].length < schema.minLength) {
      found.causes.push(wrong(path, value, `${path} in body should be at least ${schema.minLength} chars long`));
    }
    if (schema.maxLength !== undefined && [...value].length > schema.maxLength) {
      found.causes.push({
        field: path,
        reason: "FieldValueTooLong",
        message: `Too long: may not be more than ${schema.maxLength} bytes`,
      });
    }
    if (schema.pattern !== undefined && !matches(schema.pattern, value)) {
      found.causes.push(wrong(path, value, `${path} in body should match '${schema.pattern}'`));
    }
    if (schema.format === "date-time" && !timeFormat.test(value)) {
      found.causes.push(wrong(path, value, `${path} in body must be of type date-time`));
    }
  }
  if (schema.enum !== undefined && !schema.enum.includes(value)) {
    const words = schema.enum
      .map((word) => JSON.stringify(word))
      .sort()
      .join(", ");
    found.causes.push({
      field: path,
      reason: "FieldValueNotSupported",
      message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${words}`,
    });
  }
}

function mistyped(found: Findings, path: string, expected: string, value: unknown): void {
  const kind = Array.isArray(value) ? "array" : typeof value;
  found.mistyped.push({
    field: path,
    reason: "FieldValueTypeInvalid",
    message: `Invalid value: "${kind}": ${path} in body must be of type ${expected}: "${kind}"`,
  });
}

function wrong(path: string, value: unknown, why: string): Cause {
  return { field: path, reason: "FieldValueInvalid", message: `Invalid value: ${JSON.stringify(value)}: ${why}` };
}

function many(path: string, count: number, max: number): Cause {
  return {
    field: path,
    reason: "FieldValueTooMany",
    message: `Too many: ${count}: must have at most ${max} items`,
  };
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

/** Puts defaults into what is missing. Gives the same object back when nothing is. */
export function withDefaults(value: unknown, schema: Schema): unknown {
  if (Array.isArray(value)) {
    const item = schema.items;
    if (item === undefined) return value;
    const filled = value.map((entry) => withDefaults(entry, item));
    return filled.some((entry, index) => entry !== value[index]) ? filled : value;
  }
  if (!isRecord(value)) return value;
  let copy: Record<string, unknown> | undefined;
  for (const [name, inner] of Object.entries(schema.properties ?? {})) {
    const found = value[name];
    if (found === undefined || (found === null && inner.nullable !== true)) {
      if (inner.default === undefined) {
        if (found === null) {
          // null means absent: upstream drops it.
          copy ??= { ...value };
          delete copy[name];
        }
        continue;
      }
      copy ??= { ...value };
      copy[name] = withDefaults(inner.default, inner);
      continue;
    }
    const filled = withDefaults(found, inner);
    if (filled === found) continue;
    copy ??= { ...value };
    copy[name] = filled;
  }
  const values = schema.additionalProperties;
  if (typeof values === "object") {
    for (const [name, found] of Object.entries(value)) {
      if (namedField(schema, name) !== undefined) continue;
      const filled = withDefaults(found, values);
      if (filled === found) continue;
      copy ??= { ...value };
      copy[name] = filled;
    }
  }
  return copy ?? value;
}
