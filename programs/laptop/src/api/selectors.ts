import { parseLabelSelector as parseSelector } from "@weft/kube";
import { at, recordAt, textAt } from "../kinds/path.js";
import type { Json, ResourceKind } from "../kinds/resource-kind.js";
import { badRequest } from "./status.js";

export type Predicate = (object: Json) => boolean;

const always: Predicate = () => true;

/** A label selector in its text form: `app=a,tier!=b,env in (x,y),!canary`. Throws a 400. */
export function parseLabelSelector(source: string): Predicate {
  const read = parseSelector(source);
  if (!read.ok) throw badRequest(read.error);
  return (object) => read.value(labelsOf(object));
}

function labelsOf(object: Json): Readonly<Record<string, string>> {
  const labels = Object.entries(recordAt(object, "metadata", "labels"));
  return Object.fromEntries(labels.filter((label): label is [string, string] => typeof label[1] === "string"));
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
