/** Where something was written: a file, and a line counted from 1. */
export interface Origin {
  readonly file: string;
  readonly line: number;
}

/** Something wrong in a file, in words for its author. */
export interface RenderProblem extends Origin {
  readonly message: string;
}

/** What a YAML scalar can be once it is read. */
export type ScalarValue = string | number | boolean | undefined;

/** A scalar; the value `undefined` is YAML's null. */
export interface ScalarNode {
  readonly kind: "scalar";
  readonly value: ScalarValue;
  readonly origin: Origin;
}

/** A list. */
export interface ListNode {
  readonly kind: "list";
  readonly items: Node[];
  readonly origin: Origin;
}

/** A map; the origin of an entry's value is the line of its key. */
export interface MapNode {
  readonly kind: "map";
  readonly entries: Map<string, Node>;
  readonly origin: Origin;
}

/** A piece of a manifest that remembers where it was written. Only the renderer changes one. */
export type Node = ScalarNode | ListNode | MapNode;

/** The way to a piece of an object: names of fields and positions in lists. */
export type Path = readonly (string | number)[];

export function scalarNode(value: ScalarValue, origin: Origin): ScalarNode {
  return { kind: "scalar", value, origin };
}

export function mapNode(origin: Origin, entries: Iterable<readonly [string, Node]> = []): MapNode {
  return { kind: "map", entries: new Map(entries), origin };
}

export function listNode(origin: Origin, items: Node[] = []): ListNode {
  return { kind: "list", items, origin };
}

/** A copy that shares nothing that can change. */
export function cloneNode<N extends Node>(node: N): N;
export function cloneNode(node: Node): Node {
  switch (node.kind) {
    case "scalar":
      return node;
    case "list":
      return listNode(node.origin, node.items.map(cloneNode<Node>));
    case "map":
      return mapNode(
        node.origin,
        [...node.entries].map(([key, value]) => [key, cloneNode(value)] as const),
      );
  }
}

/** The node at the end of a path; `undefined` where the path leads nowhere. */
export function nodeAt(node: Node, path: Path): Node | undefined {
  let at: Node | undefined = node;
  for (const step of path) {
    if (at?.kind === "map") at = at.entries.get(String(step));
    else if (at?.kind === "list" && typeof step === "number") at = at.items[step];
    else return undefined;
  }
  return at;
}

/** Where the piece at a path was written; where the path leads nowhere, the nearest piece above it. */
export function originAt(node: Node, path: Path): Origin {
  for (let length = path.length; length > 0; length--) {
    const found = nodeAt(node, path.slice(0, length));
    if (found !== undefined) return found.origin;
  }
  return node.origin;
}

/** The text of the scalar at a path; `undefined` when it is no text. */
export function textAt(node: Node, ...path: Path): string | undefined {
  const found = nodeAt(node, path);
  return found?.kind === "scalar" && typeof found.value === "string" ? found.value : undefined;
}

/** The map in this field, made where it is missing or null; `undefined` when something else stands there. */
export function mapIn(parent: MapNode, field: string, origin: Origin): MapNode | undefined {
  const found = parent.entries.get(field);
  if (found?.kind === "map") return found;
  if (found !== undefined && !isNull(found)) return undefined;
  const made = mapNode(origin);
  parent.entries.set(field, made);
  return made;
}

export function isNull(node: Node): boolean {
  return node.kind === "scalar" && node.value === undefined;
}

/** The plain JSON value of a node. */
export function plainValue(node: Node): unknown {
  switch (node.kind) {
    case "scalar":
      return node.value ?? null;
    case "list":
      return node.items.map(plainValue);
    case "map":
      return plainMap(node);
  }
}

/** The plain JSON object of a map. */
export function plainMap(node: MapNode): Readonly<Record<string, unknown>> {
  return Object.fromEntries([...node.entries].map(([key, value]) => [key, plainValue(value)]));
}

/** A node made of a plain JSON value, all of it written at one place. */
export function nodeFrom(value: unknown, origin: Origin): Node {
  if (Array.isArray(value))
    return listNode(
      origin,
      value.map((item) => nodeFrom(item, origin)),
    );
  if (typeof value === "object" && value !== null)
    return mapNode(
      origin,
      Object.entries(value).map(([key, item]) => [key, nodeFrom(item, origin)] as const),
    );
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
    return scalarNode(value, origin);
  return scalarNode(undefined, origin);
}

/** Whether two nodes say the same. */
export function sameNode(a: Node, b: Node): boolean {
  if (a.kind === "scalar") return b.kind === "scalar" && a.value === b.value;
  if (a.kind === "list") {
    return (
      b.kind === "list" &&
      a.items.length === b.items.length &&
      a.items.every((item, index) => {
        const other = b.items[index];
        return other !== undefined && sameNode(item, other);
      })
    );
  }
  if (b.kind !== "map" || a.entries.size !== b.entries.size) return false;
  return [...a.entries].every(([key, value]) => {
    const other = b.entries.get(key);
    return other !== undefined && sameNode(value, other);
  });
}

/** Collects what is wrong while reading goes on, so that an author hears of everything at once. */
export class Problems {
  readonly found: RenderProblem[] = [];

  report(origin: Origin, message: string): void {
    this.found.push({ file: origin.file, line: origin.line, message });
  }
}
