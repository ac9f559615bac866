/** What the laptop makes of a field of a manifest. */
export type FieldClass =
  /** It works here as it does on a cluster; nothing below it is looked at. */
  | { readonly t: "honoured" }
  /** It changes nothing on one machine. */
  | { readonly t: "meaningless"; readonly why: string }
  /** Leaving it out would change what the manifest means: it is an error. */
  | { readonly t: "refused"; readonly why: string }
  /** An object: each of its fields has a class, and no other field exists. */
  | { readonly t: "fields"; readonly fields: FieldTable }
  /** A list whose items all have one class. */
  | { readonly t: "each"; readonly item: FieldClass }
  /** The class depends on the value. */
  | { readonly t: "choice"; readonly of: (value: unknown) => FieldClass };

/** Classes by name of the field. */
export type FieldTable = Readonly<Record<string, FieldClass>>;

export const honoured: FieldClass = { t: "honoured" };
export const meaningless = (why: string): FieldClass => ({ t: "meaningless", why });
export const refused = (why: string): FieldClass => ({ t: "refused", why });
export const fields = (table: FieldTable): FieldClass => ({ t: "fields", fields: table });
export const each = (item: FieldClass | FieldTable): FieldClass => ({
  t: "each",
  item: isClass(item) ? item : fields(item),
});

/** Honoured with one of these values, refused with any other. */
export const only = (values: readonly unknown[], why: string): FieldClass => ({
  t: "choice",
  of: (value) => (values.includes(value) ? honoured : refused(why)),
});

/** The same class for several fields. */
export const all = (names: readonly string[], one: FieldClass): FieldTable =>
  Object.fromEntries(names.map((name) => [name, one]));

function isClass(item: FieldClass | FieldTable): item is FieldClass {
  return typeof item["t"] === "string";
}
