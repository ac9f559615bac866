import { at, textAt } from "../kinds/path.js";
import type { Json, ResourceKind } from "../kinds/resource-kind.js";
import { badRequest } from "./status.js";

export type Predicate = (object: Json) => boolean;

const always: Predicate = () => true;

/** A label selector in its text form: `app=a,tier!=b,env in (x,y),!canary`. Throws a 400. */
export function parseLabelSelector(source: string): Predicate {
  if (source.trim() === "") return always;
  const tests = splitOutsideParens(source).map(parseRequirement);
  return (object) => {
    const labels = at(object, "metadata", "labels");
    return tests.every((test) => test(at(labels)));
  };
}

type LabelTest = (labels: unknown) => boolean;

function parseRequirement(source: string): LabelTest {
  const text = source.trim();
  const name = "([A-Za-z0-9][-A-Za-z0-9_./]*)";
  const set = new RegExp(`^${name}\\s+(in|notin)\\s*\\(([^()]*)\\)$`).exec(text);
  if (set !== null) {
    const [, key = "", operator, list = ""] = set;
    const values = new Set(list.split(",").map((value) => value.trim()));
    return operator === "in"
      ? (labels) => values.has(textOr(labels, key))
      : (labels) => at(labels, key) === undefined || !values.has(textOr(labels, key));
  }
  const equality = new RegExp(`^${name}\\s*(==|=|!=)\\s*([-A-Za-z0-9_.]*)$`).exec(text);
  if (equality !== null) {
    const [, key = "", operator, value = ""] = equality;
    return operator === "!=" ? (labels) => at(labels, key) !== value : (labels) => at(labels, key) === value;
  }
  const exists = new RegExp(`^(!?)\\s*${name}$`).exec(text);
  if (exists !== null) {
    const [, not, key = ""] = exists;
    return not === "!" ? (labels) => at(labels, key) === undefined : (labels) => at(labels, key) !== undefined;
  }
  throw badRequest(`unable to parse requirement: ${JSON.stringify(text)}`);
}

function textOr(labels: unknown, key: string): string {
  const value = at(labels, key);
  return typeof value === "string" ? value : "\u0000absent";
}

function splitOutsideParens(source: string): readonly string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let index = 0; index < source.length; index += 1) {
    const char = source[index];
    if (char === "(") depth += 1;
    else if (char === ")") depth -= 1;
    else if (char === "," && depth === 0) {
      parts.push(source.slice(start, index));
      start = index + 1;
    }
  }
  parts.push(source.slice(start));
  return parts;
}

/** A field selector in its text form: `metadata.name=a,status.phase!=Running`. Throws a 400 for fields that the kind doesn't offer. */
export function parseFieldSelector(source: string, kind: ResourceKind): Predicate {
  if (source.trim() === "") return always;
  const tests = source.split(",").map((part) => {
    const match = /^\s*([^=!\s]+)\s*(==|=|!=)\s*(.*?)\s*$/.exec(part);
    if (match === null)
      throw badRequest(`invalid selector: ${JSON.stringify(source)}; can't understand ${JSON.stringify(part)}`);
    const [, field = "", operator, value = ""] = match;
    const known = field === "metadata.name" || field === "metadata.namespace" || kind.selectableFields.includes(field);
    if (!known) throw badRequest(`field label not supported: ${field}`);
    // An Event's source is its component.
    const path = field === "source" ? ["source", "component"] : field.split(".");
    const read = (object: Json): string => {
      const found = at(object, ...path);
      return found === undefined ? textAt(object, ...path) : String(found);
    };
    return operator === "!=" ? (object: Json) => read(object) !== value : (object: Json) => read(object) === value;
  });
  return (object) => tests.every((test) => test(object));
}
