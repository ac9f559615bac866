import { DynamicTable } from "./dynamic-table.js";
import { FieldSection } from "./field-section.js";
import { decodedHuffmanBound, decodeHuffman } from "./huffman.js";
import { entryOverheadBytes } from "./static-table.js";

/** A header block that breaks RFC 7541; the connection cannot go on, because its table is in doubt (COMPRESSION_ERROR). */
export class HpackError extends Error {
  override readonly name = "HpackError";
}

/** Blocks that begin with these bytes while the table is of this version mean these fields. */
interface KnownPrefix {
  readonly version: number;
  readonly bytes: Uint8Array;
  readonly section: FieldSection;
}

const knownPrefixes = 64;

/**
 * Decodes the header blocks of one connection, in their order (RFC 7541 §3). Indexed fields at the beginning of a block change nothing in the
 * table, so what they mean is looked up by their bytes: a call like the one before costs no decoding.
 */
export class HpackDecoder {
  readonly #table: DynamicTable;
  readonly #maxTableBytes: number;
  readonly #maxListBytes: number;
  #known: (KnownPrefix | undefined)[] = [];
  #scratch: Buffer = Buffer.alloc(0);
  #at = 0;

  /** `maxTableBytes`: what this side has said in SETTINGS_HEADER_TABLE_SIZE. Fields beyond `maxListBytes` are counted, not kept. */
  constructor(options: { readonly maxTableBytes: number; readonly maxListBytes: number }) {
    this.#table = new DynamicTable(options.maxTableBytes);
    this.#maxTableBytes = options.maxTableBytes;
    this.#maxListBytes = options.maxListBytes;
  }

  /** Decodes one whole block. Throws {@link HpackError}. */
  decode(chunk: Buffer, start: number, end: number): FieldSection {
    let at = start;
    let hash = 0;
    while (at < end) {
      const byte = chunk[at] ?? 0;
      if (byte <= 0x80 || byte === 0xff) break;
      hash = (Math.imul(hash, 31) + byte) | 0;
      at += 1;
    }
    const base = at === start ? undefined : this.#prefix(chunk, start, at, hash);
    if (at === end && base !== undefined) return base;
    const section = new FieldSection(base);
    this.#at = at;
    if (at === start) this.#sizeUpdates(chunk, end);
    while (this.#at < end) this.#field(chunk, end, section);
    return section;
  }

  #prefix(chunk: Buffer, start: number, end: number, hash: number): FieldSection {
    const slot = (hash ^ (hash >>> 8)) & (knownPrefixes - 1);
    const known = this.#known[slot];
    if (known !== undefined && known.version === this.#table.version && equals(known.bytes, chunk, start, end)) {
      return known.section;
    }
    const section = new FieldSection(undefined);
    for (let at = start; at < end; at += 1) this.#addIndexed(section, (chunk[at] ?? 0) & 0x7f);
    if (this.#known.length === 0) this.#known = new Array(knownPrefixes).fill(undefined);
    const bytes = Uint8Array.prototype.slice.call(chunk, start, end);
    this.#known[slot] = { version: this.#table.version, bytes, section };
    return section;
  }

  /** Dynamic table size updates stand only at the beginning of a block (RFC 7541 §4.2). */
  #sizeUpdates(chunk: Buffer, end: number): void {
    let updates = 0;
    while (this.#at < end && ((chunk[this.#at] ?? 0) & 0xe0) === 0x20) {
      updates += 1;
      const size = this.#integer(chunk, end, 5);
      if (size > this.#maxTableBytes || updates > 2)
        throw new HpackError("a table size update beyond what was allowed");
      this.#table.resize(size);
    }
  }

  #field(chunk: Buffer, end: number, section: FieldSection): void {
    const byte = chunk[this.#at] ?? 0;
    if (byte >= 0x80) {
      this.#addIndexed(section, this.#integer(chunk, end, 7));
      return;
    }
    const indexing = (byte & 0xc0) === 0x40;
    if (!indexing && (byte & 0xe0) === 0x20) throw new HpackError("a table size update within a block");
    const nameIndex = this.#integer(chunk, end, indexing ? 6 : 4);
    const name = nameIndex === 0 ? this.#text(chunk, end) : this.#indexed(nameIndex).name;
    const value = this.#text(chunk, end);
    if (indexing) this.#table.insert({ name, value });
    this.#add(section, name, value);
  }

  #addIndexed(section: FieldSection, index: number): void {
    const field = this.#indexed(index);
    this.#add(section, field.name, field.value);
  }

  #add(section: FieldSection, name: string, value: string): void {
    section.bytes += name.length + value.length + entryOverheadBytes;
    if (section.bytes > this.#maxListBytes) {
      section.tooLarge = true;
      return;
    }
    section.names.push(name);
    section.values.push(value);
  }

  #indexed(index: number): { readonly name: string; readonly value: string } {
    const field = this.#table.get(index);
    if (field === undefined) throw new HpackError(`index ${index} is in no table`);
    return field;
  }

  #integer(chunk: Buffer, end: number, prefixBits: number): number {
    const max = (1 << prefixBits) - 1;
    let value = (chunk[this.#at] ?? 0) & max;
    this.#at += 1;
    if (value < max) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= end) throw new HpackError("a block ends within an integer");
      const byte = chunk[this.#at] ?? 0;
      this.#at += 1;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new HpackError("an integer that is too large");
  }

  #text(chunk: Buffer, end: number): string {
    if (this.#at >= end) throw new HpackError("a block ends before a text");
    const isHuffman = (chunk[this.#at] ?? 0) >= 0x80;
    const length = this.#integer(chunk, end, 7);
    const start = this.#at;
    if (length > end - start) throw new HpackError("a text is longer than its block");
    this.#at = start + length;
    if (!isHuffman) return latin1(chunk, start, start + length);
    const bound = decodedHuffmanBound(length);
    if (this.#scratch.length < bound) this.#scratch = Buffer.allocUnsafeSlow(bound);
    const decoded = decodeHuffman(chunk, start, start + length, this.#scratch);
    if (decoded < 0) throw new HpackError("broken Huffman code");
    return latin1(this.#scratch, 0, decoded);
  }
}

/** Short texts are put together by hand: a call into the runtime costs more. */
function latin1(chunk: Buffer, start: number, end: number): string {
  if (end - start > 12) return chunk.toString("latin1", start, end);
  let text = "";
  for (let at = start; at < end; at += 1) text += String.fromCharCode(chunk[at] ?? 0);
  return text;
}

function equals(known: Uint8Array, chunk: Buffer, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let i = 0; i < known.length; i += 1) if (known[i] !== chunk[start + i]) return false;
  return true;
}
