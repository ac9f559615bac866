import { entryOverheadBytes, firstDynamicIndex, type HeaderField, staticTable } from "./static-table.js";

/**
 * The dynamic table of one direction (RFC 7541 §2.3.2, §4): newest first, the oldest go when there is no room.
 * A ring of entries: entry number `n` (counted from the first ever inserted) lies at `n & mask`.
 */
export class DynamicTable<F extends HeaderField = HeaderField> {
  /** How many entries were ever inserted. */
  inserted = 0;
  /** Changes whenever an index may have got another meaning. */
  version = 0;
  #capacity: number;
  #size = 0;
  #count = 0;
  #ring: (F | undefined)[] = new Array(16).fill(undefined);

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get capacity(): number {
    return this.#capacity;
  }

  get size(): number {
    return this.#size;
  }

  get count(): number {
    return this.#count;
  }

  /** Number of the oldest entry that is still there. */
  get oldest(): number {
    return this.inserted - this.#count;
  }

  /** The field at an index of the whole address space, static entries first (RFC 7541 §2.3.3). */
  get(index: number): HeaderField | undefined {
    if (index < firstDynamicIndex) return staticTable[index - 1];
    const age = index - firstDynamicIndex;
    return age < this.#count ? this.numbered(this.inserted - 1 - age) : undefined;
  }

  /** The entry of a number, which must still be there. */
  numbered(number: number): F | undefined {
    return this.#ring[number & (this.#ring.length - 1)];
  }

  /** The index that an entry's number has now. */
  indexOf(number: number): number {
    return firstDynamicIndex + this.inserted - 1 - number;
  }

  /** How many entries would go to make room for a field. */
  evictedFor(field: F): number {
    let free = this.#capacity - this.#size;
    const needed = sizeOf(field);
    let number = this.oldest;
    while (free < needed && number < this.inserted) {
      const entry = this.numbered(number);
      if (entry !== undefined) free += sizeOf(entry);
      number += 1;
    }
    return number - this.oldest;
  }

  /** Adds a field; one that is larger than the table empties it (RFC 7541 §4.4). */
  insert(field: F): void {
    const needed = sizeOf(field);
    this.#evictTo(this.#capacity - needed);
    this.version += 1;
    if (needed > this.#capacity) return;
    if (this.#count === this.#ring.length) this.#grow();
    this.#ring[this.inserted & (this.#ring.length - 1)] = field;
    this.inserted += 1;
    this.#count += 1;
    this.#size += needed;
  }

  resize(capacity: number): void {
    this.#capacity = capacity;
    this.#evictTo(capacity);
    this.version += 1;
  }

  #evictTo(size: number): void {
    while (this.#count > 0 && this.#size > size) {
      const slot = this.oldest & (this.#ring.length - 1);
      const entry = this.#ring[slot];
      this.#ring[slot] = undefined;
      this.#count -= 1;
      if (entry !== undefined) this.#size -= sizeOf(entry);
    }
  }

  #grow(): void {
    const ring: (F | undefined)[] = new Array(this.#ring.length * 2).fill(undefined);
    for (let number = this.oldest; number < this.inserted; number += 1) {
      ring[number & (ring.length - 1)] = this.numbered(number);
    }
    this.#ring = ring;
  }
}

/** What a field counts in a table (RFC 7541 §4.1). Names and values are latin1: one byte a character. */
export function sizeOf(field: HeaderField): number {
  return field.name.length + field.value.length + entryOverheadBytes;
}
