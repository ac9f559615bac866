import { type Parsed, parsed, refused } from "@weft/foundation";

declare const typeOf: unique symbol;

/**
 * The shape of a JSON value: a check at run time and a type at compile time from one description.
 * Fields that a shape does not name are kept as they are: an object read and written again loses nothing.
 */
export interface Shape<T> {
  /** Gives the value back, a `null` where a field may be absent taken out; throws {@link ShapeMismatch}. */
  read(value: unknown, path: string): unknown;
  readonly [typeOf]?: T;
}

/** A field that may be absent; `null` counts as absent, as the API server itself sees it. */
export interface OptionalShape<T> extends Shape<T> {
  readonly optional: true;
}

/** The type that a shape describes. */
export type Infer<S> = S extends Shape<infer T> ? T : never;

type Fields = Readonly<Record<string, Shape<unknown>>>;
type Flat<T> = { readonly [K in keyof T]: T[K] };
type ObjectOf<F extends Fields> = Flat<
  { readonly [K in keyof F as F[K] extends OptionalShape<unknown> ? never : K]: Infer<F[K]> } & {
    readonly [K in keyof F as F[K] extends OptionalShape<unknown> ? K : never]?: Infer<F[K]>;
  }
>;

/** Why a value does not have its shape. Stays inside this package: parsers return it as text. */
class ShapeMismatch extends Error {
  override readonly name = "ShapeMismatch";
}

function mismatch(path: string, expected: string, value: unknown): ShapeMismatch {
  const found = value === null ? "null" : Array.isArray(value) ? "a list" : typeof value;
  return new ShapeMismatch(
    `${path === "" ? "the object" : path.replace(/^\./, "")}: expected ${expected}, found ${found}`,
  );
}

function primitive<T>(name: "string" | "number" | "boolean"): Shape<T> {
  return {
    read(value, path) {
      if (typeof value !== name) throw mismatch(path, `a ${name}`, value);
      return value;
    },
  };
}

export const text: Shape<string> = primitive("string");
export const number: Shape<number> = primitive("number");
export const flag: Shape<boolean> = primitive("boolean");

/** Any JSON, read by whoever needs it. */
export const json: Shape<unknown> = { read: (value) => value };

/** A port number or the name of a port; Kubernetes' IntOrString. */
export const intOrText: Shape<number | string> = {
  read(value, path) {
    if (typeof value !== "number" && typeof value !== "string") throw mismatch(path, "a number or a string", value);
    return value;
  },
};

/** One of these words, or a word of a later version of the API. */
export function words<const W extends readonly string[]>(..._known: W): Shape<W[number] | (string & {})> {
  return primitive("string");
}

export function optional<T>(shape: Shape<T>): OptionalShape<T> {
  return { read: shape.read, optional: true };
}

export function list<T>(item: Shape<T>): Shape<readonly T[]> {
  return {
    read(value, path) {
      if (!Array.isArray(value)) throw mismatch(path, "a list", value);
      let copy: unknown[] | undefined;
      for (const [index, entry] of value.entries()) {
        const read = item.read(entry, `${path}[${index}]`);
        if (read === entry) continue;
        copy ??= [...value];
        copy[index] = read;
      }
      return copy ?? value;
    },
  };
}

export function map<T>(entry: Shape<T>): Shape<Readonly<Record<string, T>>> {
  return {
    read(value, path) {
      if (!isRecord(value)) throw mismatch(path, "a map", value);
      let copy: Record<string, unknown> | undefined;
      for (const [key, found] of Object.entries(value)) {
        const read = entry.read(found, `${path}.${key}`);
        if (read === found) continue;
        copy ??= { ...value };
        copy[key] = read;
      }
      return copy ?? value;
    },
  };
}

export function object<F extends Fields>(fields: F): Shape<ObjectOf<F>> {
  const entries = Object.entries(fields).map(([name, shape]) => ({ name, shape, absent: "optional" in shape }));
  return {
    read(value, path) {
      if (!isRecord(value)) throw mismatch(path, "an object", value);
      let copy: Record<string, unknown> | undefined;
      for (const { name, shape, absent } of entries) {
        const found = value[name];
        if (absent && (found === undefined || found === null)) {
          if (found === null) {
            copy ??= { ...value };
            delete copy[name];
          }
          continue;
        }
        const read = shape.read(found, `${path}.${name}`);
        if (read === found) continue;
        copy ??= { ...value };
        copy[name] = read;
      }
      return copy ?? value;
    },
  };
}

/** Reads a value of unknown origin by its shape. The error names the field, as in `spec.ports[0].port: expected a number`. */
export function parseShape<T>(shape: Shape<T>, value: unknown): Parsed<T> {
  try {
    return parsed(shape.read(value, "") as T);
  } catch (error) {
    if (error instanceof ShapeMismatch) return refused(error.message);
    throw error;
  }
}

/** Whether a value is a JSON object: neither null nor a list. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
