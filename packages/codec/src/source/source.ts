import * as length from "../bytes/length.js";
import * as read from "../bytes/reader.js";
import * as text from "../bytes/text.js";
import * as unknown from "../bytes/unknown.js";
import * as write from "../bytes/writer.js";
import { foreignMessage } from "../message-type.js";
import { keyValue } from "../scalars.js";
import { setEntry, sortedKeys, toLocal, toMessage } from "../well-known.js";

/** What compiled functions call, under the names that they use. */
const library: Readonly<Record<string, unknown>> = {
  ...length,
  ...read,
  ...text,
  ...unknown,
  ...write,
  foreignMessage,
  keyValue,
  setEntry,
  sortedKeys,
  toLocal,
  toMessage,
  own: Object.prototype.hasOwnProperty,
};
const libraryNames = Object.keys(library).join(", ");

/**
 * A function being written: lines of source, and the objects that they refer to. Names and numbers of a descriptor, which may come from outside,
 * enter the source through {@link quote} and {@link constant} alone.
 */
export class Source {
  readonly #lines: string[] = [];
  readonly #constants: unknown[] = [];
  #variables = 0;
  readonly #kept: string[] = [];

  add(...lines: readonly string[]): void {
    this.#lines.push(...lines);
  }

  /** A name for an object that the function refers to. */
  constant(value: unknown): string {
    const known = this.#constants.indexOf(value);
    if (known >= 0) return `c${known}`;
    return `c${this.#constants.push(value) - 1}`;
  }

  /** A name for a number that is kept between calls. */
  kept(initial: number): string {
    const name = `k${this.#variables++}`;
    this.#kept.push(`let ${name} = ${initial};`);
    return name;
  }

  /** Makes the function. `head` is its name and parameters. Throws an EvalError where source must not be compiled. */
  compile<T>(head: string): T {
    const constants = this.#constants.map((_, index) => `c${index}`).join(", ");
    const body = [
      '"use strict";',
      `const { ${libraryNames} } = library;`,
      `const [${constants}] = constants;`,
      ...this.#kept,
      `return function ${head} {`,
      ...this.#lines,
      "};",
    ];
    return fromSource<T>(new Function("library", "constants", body.join("\n"))(library, this.#constants));
  }
}

/** What was compiled has the type that its head says. */
function fromSource<T>(made: unknown): T {
  return made as T;
}

/** Text as source. */
export function quote(value: string): string {
  return JSON.stringify(value);
}

/** Whether this process may compile source: `--disallow-code-generation-from-strings` forbids it. */
export function canCompileSource(): boolean {
  try {
    return new Function("return true")() === true;
  } catch {
    return false; // An EvalError, which is the answer.
  }
}
