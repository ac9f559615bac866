import { resolve } from "node:path";
import { type Parsed, parsed, refused } from "@weft/foundation";
import { Accumulator } from "./accumulate.js";
import { nameHash } from "./name-hash.js";
import { followNames } from "./name-references.js";
import { mapIn, type Origin, originAt, type Path, Problems, plainMap, type RenderProblem, scalarNode } from "./node.js";
import { inOrder } from "./order.js";
import { nameOf, type Resource } from "./resource.js";

/** One object of a rendered kustomization. */
export interface RenderedObject {
  /** The object as it would be applied. */
  readonly object: Readonly<Record<string, unknown>>;
  /** Where the piece at this path was written, or the nearest piece above it. */
  origin(path: Path): Origin;
}

/** What a kustomization renders to, in the order in which `kubectl kustomize` prints it. */
export interface Rendered {
  readonly objects: readonly RenderedObject[];
}

/**
 * Renders the kustomization in a folder, as `kubectl kustomize` does for the features that Weft's manifests use; anything else is
 * a problem with its file and line. Files are shown relative to `relativeTo` (default: the working directory).
 */
export async function render(
  directory: string,
  options: { readonly relativeTo?: string } = {},
): Promise<Parsed<Rendered, readonly RenderProblem[]>> {
  const problems = new Problems();
  const root = resolve(directory);
  const accumulator = new Accumulator(resolve(options.relativeTo ?? "."), problems);
  const origin: Origin = { file: directory, line: 1 };
  const resources = await accumulator.build(root, "Kustomization", { origin, within: [], resources: [] });
  for (const resource of resources) addHash(resource);
  followNames(resources);
  if (problems.found.length > 0) return refused(problems.found);
  return parsed({
    objects: inOrder(resources).map((resource) => ({
      object: plainMap(resource.root),
      origin: (path) => originAt(resource.root, path),
    })),
  });
}

function addHash(resource: Resource): void {
  if (!resource.hashed) return;
  const { root } = resource;
  const before = nameOf(root);
  const metadata = mapIn(root, "metadata", root.origin);
  const origin = metadata?.entries.get("name")?.origin ?? root.origin;
  metadata?.entries.set("name", scalarNode(`${before.name}-${nameHash(root)}`, origin));
  resource.earlier.push(before);
}
