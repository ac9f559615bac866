import type { PatchEntry } from "../kustomization.js";
import { cloneNode, type MapNode, type Node, type Problems, textAt } from "../node.js";
import { answersTo, describeId, nameOf, type Resource, typeOf } from "../resource.js";
import { jsonPatch } from "./json-patch.js";
import { selects } from "./select.js";
import { strategicMerge } from "./strategic-merge.js";

/** The resources after one patch, which was read as `documents`: a list is a JSON patch, anything else a strategic merge. */
export function applyPatch(
  resources: readonly Resource[],
  entry: PatchEntry,
  documents: readonly Node[],
  problems: Problems,
): Resource[] {
  const targeted = entry.target === undefined ? undefined : selected(resources, entry, problems);
  let result = [...resources];
  const operations = documents[0];
  if (operations?.kind === "list") {
    if (targeted === undefined) problems.report(entry.origin, "a JSON patch needs a target");
    else if (documents.length > 1) problems.report(entry.origin, "a JSON patch is one document");
    for (const resource of targeted ?? []) resource.root = jsonPatch(resource.root, operations, problems);
    return result;
  }
  if (targeted !== undefined && documents.length > 1)
    problems.report(entry.origin, "a patch with a target is one document");
  if (documents.length === 0) problems.report(entry.origin, "the patch is empty");
  for (const patch of documents) {
    if (patch.kind !== "map") {
      problems.report(patch.origin, "a patch is a list of operations or a piece of an object");
      continue;
    }
    for (const resource of targeted ?? named(resources, patch, problems)) {
      const type = typeOf(resource.root);
      const merged = strategicMerge(resource.root, withoutIdentity(patch), { ...type, problems });
      if (merged === undefined) result = result.filter((other) => other !== resource);
      else resource.root = merged;
    }
  }
  return result;
}

function selected(resources: readonly Resource[], entry: PatchEntry, problems: Problems): readonly Resource[] {
  try {
    return resources.filter((resource) => entry.target !== undefined && selects(entry.target, resource));
  } catch (error) {
    problems.report(entry.origin, `the patch's target is wrong: ${error instanceof Error ? error.message : error}`);
    return [];
  }
}

function named(resources: readonly Resource[], patch: MapNode, problems: Problems): readonly Resource[] {
  const id = { ...typeOf(patch), ...nameOf(patch) };
  const found = resources.filter((resource) => answersTo(resource, id));
  if (found.length === 1) return found;
  const why = found.length === 0 ? "there is no" : "there is more than one";
  problems.report(patch.origin, `the patch names its resource, but ${why} ${describeId(id)}`);
  return [];
}

/** The patch without what names the resource: a patch never renames. */
function withoutIdentity(patch: MapNode): MapNode {
  const stripped = cloneNode(patch);
  stripped.entries.delete("apiVersion");
  stripped.entries.delete("kind");
  const metadata = stripped.entries.get("metadata");
  if (metadata?.kind !== "map" || textAt(metadata, "name") === undefined) return stripped;
  metadata.entries.delete("name");
  metadata.entries.delete("namespace");
  if (metadata.entries.size === 0) stripped.entries.delete("metadata");
  return stripped;
}
