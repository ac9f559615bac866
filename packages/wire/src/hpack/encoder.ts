import { DynamicTable, sizeOf } from "./dynamic-table.js";
import type { HeaderTemplate, UseMark } from "./header-template.js";
import { encodeHuffman, huffmanLength } from "./huffman.js";
import { encodeInteger, maxIntegerBytes } from "./integer.js";
import { fieldKey, type HeaderField, staticFieldIndex, staticNameIndex } from "./static-table.js";

/** The largest table that this side uses, whatever the peer offers. */
const maxTableBytes = 4_096;
/** Room that table size updates take before the first field. */
export const maxUpdateBytes = 2 * maxIntegerBytes;
/** An entry used within so many blocks is not evicted for a new one: methods in turn would otherwise drive each other out. */
const keepBlocks = 256;
/** Names of which the encoder remembers values. */
const maxNames = 512;
/** Values of one name that were seen once and not indexed yet. */
const maxCandidates = 16;
/** Values of one name whose entries the encoder remembers; more than the table holds. */
const maxNumbers = 128;

/** Values that are secrets: intermediaries are not to index them either (RFC 7541 §7.1.3). */
const secretNames = new Set(["authorization", "proxy-authorization", "cookie", "set-cookie"]);
/** Values that are another one each time. */
const varyingNames = new Set([
  "grpc-timeout",
  "grpc-message",
  "grpc-status-details-bin",
  "traceparent",
  "tracestate",
  "content-length",
  "date",
  "last-modified",
  "etag",
]);

/** First bits of a field that is not in the table (RFC 7541 §6.2). */
const Literal = {
  indexed: { pattern: 0x40, prefixBits: 6 },
  plain: { pattern: 0x00, prefixBits: 4 },
  never: { pattern: 0x10, prefixBits: 4 },
} as const;
type Literal = (typeof Literal)[keyof typeof Literal];

interface Entry extends HeaderField {
  use: UseMark;
}

/** What the encoder knows of one name: which values it has in the table, by entry number, and which were seen once. */
class NameState {
  readonly staticIndex: number;
  readonly numbers = new Map<string, number>();
  readonly candidates = new Set<string>();
  newest = -1;

  constructor(name: string) {
    this.staticIndex = staticNameIndex.get(name) ?? 0;
  }
}

/** Encodes the header blocks of one connection, in their order (RFC 7541). Names and values must be latin1. */
export class HpackEncoder {
  readonly #table = new DynamicTable<Entry>(maxTableBytes);
  readonly #names = new Map<string, NameState>();
  /** A smaller, then the final size of the table that the next block has to announce. */
  #smallest: number | undefined;
  #final = maxTableBytes;
  #block = 0;

  /** Keeps to what the peer has said in SETTINGS_HEADER_TABLE_SIZE. */
  setPeerTableBytes(bytes: number): void {
    const size = Math.min(bytes, maxTableBytes);
    if (size === this.#final) return;
    this.#smallest = Math.min(size, this.#smallest ?? this.#table.capacity);
    this.#final = size;
  }

  /** Begins a block; {@link maxUpdateBytes} are room enough. Returns where the first field goes. */
  begin(into: Buffer, at: number): number {
    this.#block += 1;
    if (this.#smallest === undefined) return at;
    if (this.#smallest < this.#final) at = this.#update(into, at, this.#smallest);
    this.#smallest = undefined;
    return this.#update(into, at, this.#final);
  }

  /** Appends the template's fields; `template.maxBytes` are room enough. */
  template(into: Buffer, at: number, template: HeaderTemplate): number {
    template.use.block = this.#block;
    const { bytes } = template;
    if (bytes !== undefined && template.version === this.#table.version) {
      for (let i = 0; i < bytes.length; i += 1) into[at + i] = bytes[i] ?? 0;
      return at + bytes.length;
    }
    const { version } = this.#table;
    let end = at;
    for (const field of template.fields) end = this.#field(into, end, field.name, field.value, template.use);
    if (version === this.#table.version) {
      template.version = version;
      template.bytes = Uint8Array.prototype.slice.call(into, at, end);
    }
    return end;
  }

  /** Appends one field; `maxFieldBytes` are room enough. */
  field(into: Buffer, at: number, name: string, value: string): number {
    return this.#field(into, at, name, value, undefined);
  }

  #field(into: Buffer, at: number, name: string, value: string, use: UseMark | undefined): number {
    const state = this.#stateOf(name);
    const number = state.numbers.get(value);
    if (number !== undefined) {
      if (number >= this.#table.oldest) return this.#indexed(into, at, number, use);
      state.numbers.delete(value);
    }
    if (state.staticIndex > 0) {
      const index = staticFieldIndex.get(fieldKey(name, value));
      if (index !== undefined) return encodeInteger(into, at, 0x80, 7, index);
    }
    if (secretNames.has(name)) return this.#literal(into, at, Literal.never, state, name, value);
    const entry = { name, value, use: use ?? { block: this.#block } };
    if (!this.#wantsIndex(state, entry, use !== undefined))
      return this.#literal(into, at, Literal.plain, state, name, value);
    const end = this.#literal(into, at, Literal.indexed, state, name, value);
    state.newest = this.#table.inserted;
    if (state.numbers.size >= maxNumbers) state.numbers.clear();
    state.numbers.set(value, this.#table.inserted);
    state.candidates.delete(value);
    this.#table.insert(entry);
    return end;
  }

  #indexed(into: Buffer, at: number, number: number, use: UseMark | undefined): number {
    const entry = this.#table.numbered(number);
    if (entry !== undefined) {
      if (use === undefined) entry.use.block = this.#block;
      else entry.use = use;
    }
    return encodeInteger(into, at, 0x80, 7, this.#table.indexOf(number));
  }

  /** A field is worth an entry when it is a template's, the first of its name, or was seen before, and drives out nothing that is of use. */
  #wantsIndex(state: NameState, entry: Entry, ofTemplate: boolean): boolean {
    const { name, value } = entry;
    if (sizeOf(entry) > this.#table.capacity / 2) return false;
    if (varyingNames.has(name) && state.newest >= this.#table.oldest) return false;
    const isFirst = state.numbers.size === 0 && state.candidates.size === 0;
    if (!ofTemplate && !isFirst && !state.candidates.has(value)) {
      if (state.candidates.size >= maxCandidates) state.candidates.clear();
      state.candidates.add(value);
      return false;
    }
    const evicted = this.#table.evictedFor(entry);
    for (let number = this.#table.oldest; number < this.#table.oldest + evicted; number += 1) {
      const victim = this.#table.numbered(number);
      if (victim !== undefined && this.#block - victim.use.block < keepBlocks) return false;
    }
    return true;
  }

  #literal(into: Buffer, at: number, form: Literal, state: NameState, name: string, value: string): number {
    let nameIndex = state.staticIndex;
    if (nameIndex === 0 && state.newest >= this.#table.oldest) nameIndex = this.#table.indexOf(state.newest);
    let end = encodeInteger(into, at, form.pattern, form.prefixBits, nameIndex);
    const compress = form === Literal.indexed;
    if (nameIndex === 0) end = encodeText(into, end, name, compress);
    return encodeText(into, end, value, compress);
  }

  #stateOf(name: string): NameState {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    if (this.#names.size >= maxNames) this.#names.clear();
    const state = new NameState(name);
    this.#names.set(name, state);
    return state;
  }

  #update(into: Buffer, at: number, size: number): number {
    this.#table.resize(size);
    return encodeInteger(into, at, 0x20, 5, size);
  }
}

/** What is sent once and then by its index is worth Huffman coding; what is sent each time costs less as it is. */
function encodeText(into: Buffer, at: number, text: string, compress: boolean): number {
  const { length } = text;
  if (compress) {
    const coded = huffmanLength(text);
    if (coded < length) return encodeHuffman(text, into, encodeInteger(into, at, 0x80, 7, coded));
  }
  at = encodeInteger(into, at, 0x00, 7, length);
  if (length > 24) return at + into.write(text, at, "latin1");
  for (let i = 0; i < length; i += 1) into[at + i] = text.charCodeAt(i);
  return at + length;
}
