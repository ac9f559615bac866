import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Sited } from "./field-reader.js";
import type { GeneratorEntry } from "./kustomization.js";
import { type MapNode, mapIn, mapNode, nodeAt, type Origin, type Problems, scalarNode } from "./node.js";
import { answersTo, describeId, idOf, type Resource } from "./resource.js";

/** Adds the ConfigMap or Secret that a generator describes, or changes the one that is there. */
export async function generate(
  resources: Resource[],
  entry: GeneratorEntry,
  directory: string,
  problems: Problems,
): Promise<void> {
  const made: Resource = {
    root: await makeRoot(entry, directory, problems),
    earlier: [],
    hashed: entry.options.disableNameSuffixHash !== true,
  };
  const id = idOf(made);
  const existing = resources.filter((resource) => answersTo(resource, id));
  const [base] = existing;
  if (entry.behavior === "create") {
    if (base === undefined) resources.push(made);
    else problems.report(entry.origin, `${describeId(id)} exists already: say behavior merge or replace`);
    return;
  }
  if (base === undefined || existing.length > 1) {
    problems.report(entry.origin, `there is no ${describeId(id)} to ${entry.behavior}`);
    return;
  }
  for (const field of ["data", "binaryData"]) {
    const added = made.root.entries.get(field);
    if (entry.behavior === "replace") base.root.entries.delete(field);
    if (added?.kind === "map") putAll(base.root, [field], added, entry.origin);
  }
  for (const field of ["labels", "annotations"]) {
    const added = nodeAt(made.root, ["metadata", field]);
    if (added?.kind === "map") putAll(base.root, ["metadata", field], added, entry.origin);
  }
  const immutable = made.root.entries.get("immutable");
  if (immutable !== undefined) base.root.entries.set("immutable", immutable);
}

function putAll(root: MapNode, path: readonly string[], added: MapNode, origin: Origin): void {
  let at: MapNode | undefined = root;
  for (const step of path) at = at && mapIn(at, step, origin);
  for (const [key, value] of added.entries) at?.entries.set(key, value);
}

async function makeRoot(entry: GeneratorEntry, directory: string, problems: Problems): Promise<MapNode> {
  const { origin, kind, options } = entry;
  const word = (value: string | boolean) => scalarNode(value, origin);
  const metadata = mapNode(origin, [["name", word(entry.name)]]);
  if (entry.namespace !== undefined) metadata.entries.set("namespace", word(entry.namespace));
  const root = mapNode(origin, [
    ["apiVersion", word("v1")],
    ["kind", word(kind)],
    ["metadata", metadata],
  ]);
  for (const [field, pairs] of [
    ["labels", options.labels],
    ["annotations", options.annotations],
  ] as const) {
    for (const [key, pair] of pairs)
      mapIn(metadata, field, pair.origin)?.entries.set(key, scalarNode(pair.value, pair.origin));
  }
  if (kind === "Secret") root.entries.set("type", word(entry.type));
  if (options.immutable === true) root.entries.set("immutable", word(true));
  for (const { key, content, at } of await readPairs(entry, directory, problems)) {
    const text = kind === "ConfigMap" ? utf8(content) : undefined;
    const field = kind === "ConfigMap" && text === undefined ? "binaryData" : "data";
    const data = mapIn(root, field, origin);
    if (data?.entries.has(key)) problems.report(at, `the key "${key}" is given twice`);
    data?.entries.set(key, scalarNode(text ?? wrappedBase64(content), at));
  }
  return root;
}

interface Pair {
  readonly key: string;
  readonly content: Buffer;
  readonly at: Origin;
}

async function readPairs(entry: GeneratorEntry, directory: string, problems: Problems): Promise<Pair[]> {
  const pairs: Pair[] = [];
  const read = async (path: string, site: Sited<string>): Promise<Buffer> => {
    if (path.startsWith("..") || path.startsWith("/")) {
      problems.report(site.origin, `"${path}" is outside the kustomization's folder`);
      return Buffer.alloc(0);
    }
    try {
      return await readFile(join(directory, path));
    } catch (error) {
      problems.report(site.origin, `cannot read "${path}": ${error instanceof Error ? error.message : error}`);
      return Buffer.alloc(0);
    }
  };
  for (const site of entry.envs) {
    const text = (await read(site.value, site)).toString("utf8").replace(/^\ufeff/, "");
    for (const line of text.split(/\r?\n/)) {
      const trimmed = line.trimStart();
      if (trimmed !== "" && !trimmed.startsWith("#")) pairs.push(...keyAndValue(trimmed, site, problems));
    }
  }
  for (const site of entry.files) {
    const [key, path] = site.value.includes("=") ? cut(site.value) : [basename(site.value), site.value];
    pairs.push({ key, content: await read(path, site), at: site.origin });
  }
  for (const site of entry.literals) {
    for (const pair of keyAndValue(site.value, site, problems))
      pairs.push({ ...pair, content: Buffer.from(pair.content.toString("utf8").replace(/^["']+|["']+$/g, "")) });
  }
  return pairs;
}

function keyAndValue(text: string, site: Sited<string>, problems: Problems): Pair[] {
  if (!text.includes("=")) {
    problems.report(site.origin, `"${text}" is not KEY=VALUE`);
    return [];
  }
  const [key, value] = cut(text);
  return [{ key, content: Buffer.from(value), at: site.origin }];
}

function cut(text: string): [string, string] {
  const at = text.indexOf("=");
  return [text.slice(0, at), text.slice(at + 1)];
}

function utf8(content: Buffer): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    return undefined; // not text: it goes to binaryData
  }
}

/** Base64 in lines of 70 characters once it is longer than one, as kustomize writes it. */
function wrappedBase64(content: Buffer): string {
  const text = content.toString("base64");
  if (text.length < 70) return text;
  return (text.match(/.{1,70}/g) ?? []).map((line) => `${line}\n`).join("");
}
