import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseAllDocuments } from "yaml";
import { listNode, type MapNode, mapNode, type Node, type Origin, type Problems, scalarNode } from "./node.js";
import { resolvePlain } from "./plain-scalar.js";

/** How many nodes a document may grow to through its aliases. */
const maxNodes = 200_000;

/**
 * Reads every document of a YAML (or JSON) text; empty ones are left out. What is wrong is reported with its line, counted on from
 * `linesAbove` when the text is a piece of a file.
 */
export function parseDocuments(text: string, file: string, problems: Problems, linesAbove = 0): Node[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { schema: "failsafe", lineCounter: lines, uniqueKeys: true });
  if (!Array.isArray(documents)) return [];
  const nodes: Node[] = [];
  for (const document of documents) {
    for (const error of document.errors) {
      const line = lines.linePos(error.pos[0]).line + linesAbove;
      problems.report({ file, line }, `not YAML: ${error.message.split("\n")[0]?.replace(/ at line .*$/, "") ?? ""}`);
    }
    if (document.errors.length > 0 || document.contents === null) continue;
    const reader = new DocumentReader(document, file, (offset) => lines.linePos(offset).line + linesAbove, problems);
    const node = reader.read(document.contents, undefined);
    if (node !== undefined && !(node.kind === "scalar" && node.value === undefined)) nodes.push(node);
  }
  return nodes;
}

class DocumentReader {
  #nodes = 0;
  readonly #document: Document;
  readonly #file: string;
  readonly #lineOf: (offset: number) => number;
  readonly #problems: Problems;

  constructor(document: Document, file: string, lineOf: (offset: number) => number, problems: Problems) {
    this.#document = document;
    this.#file = file;
    this.#lineOf = lineOf;
    this.#problems = problems;
  }

  /** The node of a piece of the document, said to stand at `origin` if given (an entry stands where its key is). */
  read(source: unknown, origin: Origin | undefined): Node | undefined {
    const at = origin ?? this.#origin(source, { file: this.#file, line: 1 });
    if (++this.#nodes > maxNodes) {
      if (this.#nodes === maxNodes + 1) this.#problems.report(at, "aliases make this document too large");
      return undefined;
    }
    if (source === null || source === undefined) return scalarNode(undefined, at);
    if (isAlias(source)) return this.read(source.resolve(this.#document), at);
    if (isScalar(source)) return this.#scalar(source.value, source.type === "PLAIN", source.tag, at);
    if (isSeq(source)) {
      const items: Node[] = [];
      for (const item of source.items) {
        const node = this.read(item, undefined);
        if (node !== undefined) items.push(node);
      }
      return listNode(at, items);
    }
    if (isMap(source)) return this.#map(source.items, at);
    this.#problems.report(at, "neither a scalar, a list nor a map");
    return undefined;
  }

  #map(pairs: readonly { readonly key: unknown; readonly value: unknown }[], at: Origin): MapNode {
    const map = mapNode(at);
    const merged: MapNode[] = [];
    for (const pair of pairs) {
      const origin = this.#origin(pair.key, at);
      if (!isScalar(pair.key)) {
        this.#problems.report(origin, "a field's name must be a word");
        continue;
      }
      const value = this.read(pair.value, origin);
      if (value === undefined) continue;
      if (pair.key.type === "PLAIN" && pair.key.value === "<<") merged.push(...this.#mergeSources(value));
      else map.entries.set(String(pair.key.value ?? ""), value);
    }
    for (const source of merged) {
      for (const [key, value] of source.entries) if (!map.entries.has(key)) map.entries.set(key, value);
    }
    return map;
  }

  #mergeSources(value: Node): MapNode[] {
    const sources = value.kind === "list" ? value.items : [value];
    return sources.filter((source): source is MapNode => {
      if (source.kind !== "map") this.#problems.report(source.origin, "a merge key takes a map or a list of maps");
      return source.kind === "map";
    });
  }

  #scalar(value: unknown, plain: boolean, tag: string | undefined, at: Origin): Node | undefined {
    const text = typeof value === "string" ? value : "";
    if (tag === "tag:yaml.org,2002:str") return scalarNode(text, at);
    if (tag !== undefined && tag !== "!") {
      this.#problems.report(at, `the tag "${tag}" is not supported`);
      return undefined;
    }
    if (!plain || tag === "!") return scalarNode(text, at);
    const resolved = resolvePlain(text);
    if (!resolved.ok) {
      this.#problems.report(at, `the number "${text}" cannot be kept exactly: write it in quotes`);
      return undefined;
    }
    return scalarNode(resolved.value, at);
  }

  #origin(source: unknown, fallback: Origin): Origin {
    if (typeof source !== "object" || source === null || !("range" in source) || !Array.isArray(source.range))
      return fallback;
    const start: unknown = source.range[0];
    return typeof start === "number" ? { file: this.#file, line: this.#lineOf(start) } : fallback;
  }
}
