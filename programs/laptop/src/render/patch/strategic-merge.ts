import {
  cloneNode,
  isNull,
  type ListNode,
  listNode,
  type MapNode,
  mapNode,
  type Node,
  type Problems,
  sameNode,
} from "../node.js";
import { listMergeAt } from "./merge-keys.js";

/** The kind of object that is patched decides how lists are merged. */
export interface MergeContext {
  readonly group: string;
  readonly kind: string;
  readonly problems: Problems;
}

const directive = "$patch";

/** `base` changed by a strategic merge patch; `undefined` when the patch deletes it. */
export function strategicMerge(base: MapNode, patch: MapNode, context: MergeContext): MapNode | undefined {
  const merged = mergeNode(base, patch, [], context);
  return merged?.kind === "map" ? merged : undefined;
}

function mergeNode(
  base: Node | undefined,
  patch: Node,
  path: readonly string[],
  context: MergeContext,
): Node | undefined {
  if (isNull(patch)) return undefined;
  if (patch.kind === "map") {
    const order = patchOrder(patch, context);
    if (order === "delete") return undefined;
    if (order === "replace" || base === undefined || isNull(base))
      return mergeMaps(mapNode(patch.origin), patch, path, context);
    if (base.kind === "map") return mergeMaps(base, patch, path, context);
  }
  if (patch.kind === "list") {
    if (base === undefined || isNull(base)) return mergeLists(listNode(patch.origin), patch, path, context);
    if (base.kind === "list") return mergeLists(base, patch, path, context);
  }
  if (patch.kind === "scalar" && (base === undefined || base.kind === "scalar")) return patch;
  context.problems.report(
    patch.origin,
    `the patch has a ${patch.kind} at "${path.join(".")}" where a ${base?.kind} stands`,
  );
  return base;
}

function patchOrder(patch: MapNode, context: MergeContext): "merge" | "replace" | "delete" {
  for (const [field, value] of patch.entries) {
    if (!field.startsWith("$")) continue;
    const order = value.kind === "scalar" ? value.value : undefined;
    if (field === directive && (order === "merge" || order === "replace" || order === "delete")) return order;
    context.problems.report(value.origin, `the patch directive "${field}" is not supported`);
  }
  return "merge";
}

function mergeMaps(base: MapNode, patch: MapNode, path: readonly string[], context: MergeContext): MapNode {
  const merged = mapNode(base.origin, base.entries);
  for (const [field, value] of patch.entries) {
    if (field.startsWith("$")) continue;
    const node = mergeNode(base.entries.get(field), value, [...path, field], context);
    if (node === undefined) merged.entries.delete(field);
    else merged.entries.set(field, node);
  }
  return merged;
}

function mergeLists(
  base: ListNode,
  patch: ListNode,
  path: readonly string[],
  context: MergeContext,
): ListNode | undefined {
  const replacing = patch.items.find((item) => item.kind === "map" && patchOrder(item, context) === "replace");
  if (replacing?.kind === "map" && replacing.entries.size > 1)
    context.problems.report(
      replacing.origin,
      `"${directive}: replace" stands in an item of its own, and means the whole list`,
    );
  const how = listMergeAt(context.group, context.kind, path);
  if (replacing !== undefined || how.t === "replace") return mergedItems(patch, path, context);
  if (how.t === "set") {
    const kept = base.items.filter((item) => !patch.items.some((added) => sameNode(item, added)));
    return listNode(base.origin, [...patch.items, ...kept]);
  }
  return mergeByKeys(base, patch, how.keys, path, context);
}

/** The patch's own items, without what its directives and nulls take out. */
function mergedItems(patch: ListNode, path: readonly string[], context: MergeContext): ListNode {
  const items: Node[] = [];
  for (const item of patch.items) {
    if (item.kind === "map" && item.entries.has(directive)) continue;
    const node = mergeNode(undefined, item, path, context);
    if (node !== undefined) items.push(node);
  }
  return listNode(patch.origin, items);
}

/**
 * Items with the same keys are merged. With one key the patch's items come first, in its order; with several, only the new ones
 * do, and the others keep their places: so kustomize has it.
 */
function mergeByKeys(
  base: ListNode,
  patch: ListNode,
  keys: readonly string[],
  path: readonly string[],
  context: MergeContext,
): ListNode | undefined {
  const used = keys.filter((key) => [...base.items, ...patch.items].some((item) => keyText(item, key) !== undefined));
  const rest = [...base.items];
  const first: Node[] = [];
  for (const item of patch.items) {
    if (item.kind !== "map" || keyText(item, keys[0] ?? "") === undefined) {
      context.problems.report(item.origin, `an item of "${path.join(".")}" in a patch needs the field "${keys[0]}"`);
      continue;
    }
    const index = rest.findIndex((other) => used.every((key) => keyText(other, key) === keyText(item, key)));
    const found = index < 0 ? undefined : rest[index];
    if (found === undefined) {
      const alike = rest.some((other) =>
        used.every((key) => [keyText(other, key), undefined].includes(keyText(item, key))),
      );
      const lost = used.find((key) => keyText(item, key) === undefined);
      if (alike && lost !== undefined) {
        context.problems.report(item.origin, `kustomize would lose this item: write its "${lost}", as others have one`);
        continue;
      }
    }
    const merged = mergeNode(found === undefined ? undefined : cloneNode(found), item, path, context);
    const inPlace = keys.length > 1 && found !== undefined;
    if (inPlace && merged !== undefined) rest[index] = merged;
    else if (found !== undefined) rest.splice(index, 1);
    if (!inPlace && merged !== undefined) first.push(merged);
  }
  return listNode(base.origin, [...first, ...rest]);
}

function keyText(item: Node, key: string): string | undefined {
  const value = item.kind === "map" ? item.entries.get(key) : undefined;
  return value?.kind === "scalar" && value.value !== undefined ? String(value.value) : undefined;
}
