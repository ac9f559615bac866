import { readFile, stat } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { parseDocuments } from "./documents.js";
import type { Sited } from "./field-reader.js";
import { generate } from "./generate.js";
import { type Kustomization, type PatchEntry, parseKustomization } from "./kustomization.js";
import { type MapNode, type Node, type Origin, type Problems, textAt } from "./node.js";
import { applyPatch } from "./patch/apply.js";
import { answersTo, describeId, idOf, type Resource, resourceFrom } from "./resource.js";
import { annotationSpecs, labelSpecs } from "./transform/field-specs.js";
import { setImage } from "./transform/images.js";
import { setNamespace } from "./transform/namespace.js";
import { writePairs } from "./transform/pairs.js";
import { setReplicas } from "./transform/replicas.js";

const fileNames = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/**
 * Builds kustomizations, one folder after the other:
 * resources → generators → components → patches → namespace → labels → annotations → replicas → images.
 */
export class Accumulator {
  readonly #relativeTo: string;
  readonly #problems: Problems;

  constructor(relativeTo: string, problems: Problems) {
    this.#relativeTo = relativeTo;
    this.#problems = problems;
  }

  /** Adds to `resources` what the kustomization in `directory` makes, or lets it change them if it is a component. */
  async build(
    directory: string,
    expected: Kustomization["kind"],
    from: { readonly origin: Origin; readonly within: readonly string[]; readonly resources: Resource[] },
  ): Promise<Resource[]> {
    const { origin, within } = from;
    if (within.includes(directory)) {
      this.#problems.report(origin, `"${this.#shown(directory)}" includes itself`);
      return from.resources;
    }
    const kustomization = await this.#kustomization(directory, origin);
    if (kustomization === undefined) return from.resources;
    if (kustomization.kind !== expected) {
      const place = expected === "Component" ? "components" : "resources";
      this.#problems.report(
        origin,
        `"${this.#shown(directory)}" is a ${kustomization.kind}: it does not belong in ${place}`,
      );
      return from.resources;
    }
    let resources = from.resources;
    const inside = [...within, directory];
    for (const entry of kustomization.resources) await this.#addResource(entry, directory, inside, resources);
    for (const entry of kustomization.generators) await generate(resources, entry, directory, this.#problems);
    for (const entry of kustomization.components) {
      const target = resolve(directory, entry.value);
      resources = await this.build(target, "Component", { origin: entry.origin, within: inside, resources });
    }
    return this.#transform(kustomization, directory, resources);
  }

  async #transform(kustomization: Kustomization, directory: string, before: Resource[]): Promise<Resource[]> {
    let resources = before;
    for (const entry of kustomization.patches) {
      const documents = await this.#patchDocuments(entry, directory);
      if (documents !== undefined) resources = applyPatch(resources, entry, documents, this.#problems);
    }
    if (kustomization.namespace !== undefined) setNamespace(resources, kustomization.namespace, this.#problems);
    for (const { root } of resources) {
      for (const { pairs, includeSelectors, includeTemplates } of kustomization.labels)
        writePairs(
          root,
          pairs,
          labelSpecs[includeSelectors ? "selectors" : includeTemplates ? "templates" : "metadata"],
        );
      if (kustomization.commonAnnotations.size > 0) writePairs(root, kustomization.commonAnnotations, annotationSpecs);
    }
    for (const entry of kustomization.replicas) setReplicas(resources, entry, this.#problems);
    for (const { root } of resources) for (const entry of kustomization.images) setImage(root, entry);
    return resources;
  }

  async #kustomization(directory: string, origin: Origin): Promise<Kustomization | undefined> {
    const found: string[] = [];
    for (const name of fileNames) {
      const path = join(directory, name);
      if (await isFile(path)) found.push(path);
    }
    const [path] = found;
    if (path === undefined || found.length > 1) {
      const how = path === undefined ? "no" : "more than one";
      this.#problems.report(origin, `there is ${how} kustomization.yaml in "${this.#shown(directory)}"`);
      return undefined;
    }
    const [root, extra] = await this.#documents(path, origin);
    if (extra !== undefined) this.#problems.report(extra.origin, "a kustomization is one document");
    return root === undefined ? undefined : parseKustomization(root, this.#problems);
  }

  async #addResource(
    entry: Sited<string>,
    directory: string,
    within: readonly string[],
    resources: Resource[],
  ): Promise<void> {
    if (/^[a-z+]+:\/\//.test(entry.value) || entry.value.startsWith("git@")) {
      this.#problems.report(entry.origin, `"${entry.value}": resources from elsewhere are not supported`);
      return;
    }
    const path = resolve(directory, entry.value);
    if (await isFolder(path)) {
      const made = await this.build(path, "Kustomization", { origin: entry.origin, within, resources: [] });
      for (const resource of made) this.#add(resources, resource, entry.origin);
      return;
    }
    if (relative(directory, path).startsWith("..")) {
      this.#problems.report(entry.origin, `the file "${entry.value}" is outside the kustomization's folder`);
      return;
    }
    for (const document of await this.#documents(path, entry.origin)) {
      for (const root of this.#objects(document)) {
        const resource = resourceFrom(root, (origin, message) => this.#problems.report(origin, message));
        if (resource !== undefined) this.#add(resources, resource, root.origin);
      }
    }
  }

  /** The objects of a document: itself, or the items of a list. */
  #objects(document: Node): MapNode[] {
    if (document.kind !== "map") {
      this.#problems.report(document.origin, "an object is expected here");
      return [];
    }
    const items = document.entries.get("items");
    if (!textAt(document, "kind")?.endsWith("List") || items?.kind !== "list") return [document];
    return items.items.flatMap((item) => this.#objects(item));
  }

  #add(resources: Resource[], resource: Resource, origin: Origin): void {
    const id = idOf(resource);
    const other = resources.find((existing) => answersTo(existing, id));
    if (other === undefined) resources.push(resource);
    else
      this.#problems.report(
        origin,
        `${describeId(id)} is there already, from ${other.root.origin.file}:${other.root.origin.line}`,
      );
  }

  async #patchDocuments(entry: PatchEntry, directory: string): Promise<Node[] | undefined> {
    const before = this.#problems.found.length;
    const documents =
      entry.source.t === "file"
        ? await this.#documents(resolve(directory, entry.source.path), entry.origin)
        : this.#inlineDocuments(entry.source.text, entry.origin);
    return this.#problems.found.length > before ? undefined : documents;
  }

  /** A patch within a kustomization; its lines are counted from the line of its entry. */
  #inlineDocuments(text: string, origin: Origin): Node[] {
    return parseDocuments(text, origin.file, this.#problems, origin.line - 1);
  }

  async #documents(path: string, origin: Origin): Promise<Node[]> {
    try {
      return parseDocuments(await readFile(path, "utf8"), this.#shown(path), this.#problems);
    } catch (error) {
      const why =
        error instanceof Error && "code" in error && error.code === "ENOENT" ? "there is no such file" : String(error);
      this.#problems.report(origin, `cannot read "${this.#shown(path)}": ${why}`);
      return [];
    }
  }

  #shown(path: string): string {
    return relative(this.#relativeTo, path) || ".";
  }
}

async function isFile(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ?? false;
}

async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() ?? false;
}
