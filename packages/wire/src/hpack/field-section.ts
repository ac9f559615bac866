/**
 * The fields of one decoded header block in the order of the wire. Most blocks of a connection begin alike, so one whose first bytes are
 * known shares what they mean with those before it: `base` comes first, then `names` and `values`.
 */
export class FieldSection {
  readonly base: FieldSection | undefined;
  readonly names: string[] = [];
  readonly values: string[] = [];
  /** Size as RFC 9113 §6.5.2 counts it (SETTINGS_MAX_HEADER_LIST_SIZE), also of what was left out. */
  bytes: number;
  /** The section is larger than allowed: fields were left out. */
  tooLarge = false;
  /** What a layer above has made of a shared section, to be looked at with `instanceof`. */
  memo: unknown = undefined;

  constructor(base: FieldSection | undefined) {
    this.base = base;
    this.bytes = base === undefined ? 0 : base.bytes;
    if (base?.tooLarge) this.tooLarge = true;
  }

  /** All fields, one after the other. */
  *[Symbol.iterator](): Generator<readonly [name: string, value: string]> {
    if (this.base !== undefined) yield* this.base;
    for (const [index, name] of this.names.entries()) yield [name, this.values[index] ?? ""];
  }
}
