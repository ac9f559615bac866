import type { Sited } from "../field-reader.js";
import { type MapNode, mapIn, type Node, scalarNode } from "../node.js";
import { isBuiltInGroup, typeOf } from "../resource.js";
import type { FieldSpec } from "./field-specs.js";

/** Writes labels or annotations wherever the specs say that this kind of object has them. */
export function writePairs(
  root: MapNode,
  pairs: ReadonlyMap<string, Sited<string>>,
  specs: readonly FieldSpec[],
): void {
  const type = typeOf(root);
  for (const spec of specs) {
    if (spec.kind !== undefined && (spec.kind !== type.kind || !isBuiltInGroup(type.group))) continue;
    if (spec.group !== undefined && spec.group !== type.group) continue;
    writeAt(root, spec.path.split("/"), spec.create, pairs);
  }
}

function writeAt(
  node: Node,
  path: readonly string[],
  create: boolean,
  pairs: ReadonlyMap<string, Sited<string>>,
): void {
  const [step, ...rest] = path;
  if (node.kind !== "map") return;
  if (step === undefined) {
    for (const [key, pair] of pairs) node.entries.set(key, scalarNode(pair.value, pair.origin));
    return;
  }
  if (step.endsWith("[]")) {
    const list = node.entries.get(step.slice(0, -2));
    if (list?.kind === "list") for (const item of list.items) writeAt(item, rest, create, pairs);
    return;
  }
  const origin = [...pairs.values()][0]?.origin ?? node.origin;
  const next = create ? mapIn(node, step, origin) : node.entries.get(step);
  if (next !== undefined) writeAt(next, rest, create, pairs);
}
