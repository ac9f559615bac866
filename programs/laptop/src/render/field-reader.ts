import { isNull, type MapNode, type Node, type Origin, type Problems } from "./node.js";

/** A value and where it was written. */
export interface Sited<T> {
  readonly value: T;
  readonly origin: Origin;
}

type FieldTable = Readonly<Record<string, (node: Node) => void>>;

/** Reads fields by a table and reports whatever is not as it should be. */
export class FieldReader {
  readonly problems: Problems;

  constructor(problems: Problems) {
    this.problems = problems;
  }

  /** Calls the table's function for each field that is there and not null; a field that the table lacks is a problem. */
  fields(node: Node, what: string, table: FieldTable): void {
    const map = this.#map(node, what);
    for (const [field, value] of map?.entries ?? []) {
      const read = Object.hasOwn(table, field) ? table[field] : undefined;
      if (read !== undefined) {
        if (!isNull(value)) read(value);
      } else {
        this.problems.report(value.origin, `${what}: the field "${field}" is not supported`);
      }
    }
  }

  /** Fields that are all text. */
  textFields<F extends string>(node: Node, what: string, names: readonly F[]): { readonly [K in F]?: string } {
    const found: { [K in F]?: string } = {};
    const read = (name: F) => (value: Node) => {
      const text = this.text(value);
      if (text !== undefined) found[name] = text;
    };
    this.fields(node, what, Object.fromEntries(names.map((name) => [name, read(name)])));
    return found;
  }

  text(node: Node): string | undefined {
    if (node.kind === "scalar" && typeof node.value === "string") return node.value;
    this.problems.report(node.origin, "text is expected here: write it in quotes");
    return undefined;
  }

  flag(node: Node): boolean | undefined {
    if (node.kind === "scalar" && typeof node.value === "boolean") return node.value;
    this.problems.report(node.origin, "true or false is expected here");
    return undefined;
  }

  choice<C extends string>(node: Node, choices: readonly C[]): C | undefined {
    const text = node.kind === "scalar" ? node.value : undefined;
    const found = choices.find((choice) => choice === text);
    if (found === undefined) this.problems.report(node.origin, `one of ${choices.join(", ")} is expected here`);
    return found;
  }

  /** Each item of a list, read; items that cannot be read are left out (and reported). */
  each<T>(node: Node, read: (item: Node) => T | undefined): T[] {
    if (node.kind !== "list") {
      this.problems.report(node.origin, "a list is expected here");
      return [];
    }
    return node.items.map(read).filter((item) => item !== undefined);
  }

  texts(node: Node): Sited<string>[] {
    return this.each(node, (item) => {
      const value = this.text(item);
      return value === undefined ? undefined : { value, origin: item.origin };
    });
  }

  pairs(node: Node): ReadonlyMap<string, Sited<string>> {
    const pairs = new Map<string, Sited<string>>();
    for (const [key, item] of this.#map(node, "pairs")?.entries ?? []) {
      const value = this.text(item);
      if (value !== undefined) pairs.set(key, { value, origin: item.origin });
    }
    return pairs;
  }

  #map(node: Node, what: string): MapNode | undefined {
    if (node.kind === "map") return node;
    this.problems.report(node.origin, `${what}: fields are expected here`);
    return undefined;
  }
}
