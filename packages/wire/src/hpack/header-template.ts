import type { HeaderField } from "./static-table.js";

/** When something was last of use, as the number of a header block. */
export interface UseMark {
  block: number;
}

/**
 * Fields that open many header blocks of a connection, such as those of one method's requests. The encoder keeps their encoded bytes here for as long as
 * its table stays as it is: in steady state one byte a field, copied at once. Belongs to one encoder.
 */
export class HeaderTemplate {
  readonly fields: readonly HeaderField[];
  readonly use: UseMark = { block: 0 };
  /** Room that encoding takes at most. */
  readonly maxBytes: number;
  /** The encoder's own: what was encoded while its table had this version. */
  bytes: Uint8Array | undefined;
  version = -1;

  constructor(fields: readonly HeaderField[]) {
    this.fields = fields;
    this.maxBytes = fields.reduce((sum, field) => sum + maxFieldBytes(field.name, field.value), 0);
  }
}

/** Room that encoding one field takes at most: three integers and both texts as they are. */
export function maxFieldBytes(name: string, value: string): number {
  return name.length + value.length + 18;
}
