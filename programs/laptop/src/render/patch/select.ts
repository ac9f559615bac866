import type { Target } from "../kustomization.js";
import { type MapNode, nodeAt } from "../node.js";
import { namesOf, type Resource, typeOf } from "../resource.js";

/** Whether a target means this resource. Fails with a message when the target cannot be understood. */
export function selects(target: Target, resource: Resource): boolean {
  const type = typeOf(resource.root);
  if (!whole(target.group, type.group) || !whole(target.version, type.version) || !whole(target.kind, type.kind))
    return false;
  const named = namesOf(resource).some(
    (name) => whole(target.name, name.name) && whole(target.namespace, name.namespace),
  );
  return (
    named &&
    matchesSelector(target.labelSelector, pairsAt(resource.root, "labels")) &&
    matchesSelector(target.annotationSelector, pairsAt(resource.root, "annotations"))
  );
}

function whole(pattern: string | undefined, text: string): boolean {
  return pattern === undefined || pattern === "" || new RegExp(`^(?:${pattern})$`).test(text);
}

function pairsAt(root: MapNode, field: string): ReadonlyMap<string, string> {
  const found = nodeAt(root, ["metadata", field]);
  const pairs = new Map<string, string>();
  if (found?.kind !== "map") return pairs;
  for (const [key, value] of found.entries) if (value.kind === "scalar") pairs.set(key, String(value.value ?? ""));
  return pairs;
}

const requirement =
  /^\s*(?:!\s*(?<absent>[\w./-]+)|(?<key>[\w./-]+)(?:\s*(?<operator>==|=|!=)\s*(?<value>[\w.-]*)|\s+(?<list>in|notin)\s*\((?<values>[^)]*)\))?)\s*(?:,|$)/;

/** Kubernetes' label selectors: `a=b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`, joined by commas. */
export function matchesSelector(selector: string | undefined, pairs: ReadonlyMap<string, string>): boolean {
  let rest = (selector ?? "").trim();
  while (rest !== "") {
    const found = requirement.exec(rest);
    if (found?.groups === undefined) throw new Error(`the selector "${selector}" cannot be understood`);
    const { absent, key = "", operator, value = "", list, values = "" } = found.groups;
    const actual = pairs.get(absent ?? key);
    const listed = values.split(",").map((item) => item.trim());
    if (absent !== undefined ? actual !== undefined : !meets(actual, operator ?? list, list ? listed : [value]))
      return false;
    rest = rest.slice(found[0].length);
  }
  return true;
}

function meets(actual: string | undefined, operator: string | undefined, values: readonly string[]): boolean {
  if (operator === undefined) return actual !== undefined;
  if (operator === "!=" || operator === "notin") return actual === undefined || !values.includes(actual);
  return actual !== undefined && values.includes(actual);
}
