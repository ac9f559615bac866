/** What a parser returns: an expected failure is a value, never a throw. */
export type Parsed<T, E = string> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E };

/** A parse that worked. */
export function parsed<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

/** A parse that failed, with what to tell the author of the input. */
export function refused<E>(error: E): { readonly ok: false; readonly error: E } {
  return { ok: false, error };
}
