// biome-ignore-all lint/style/noNonNullAssertion: a byte beyond the end reads as undefined and counts as 0; whoever reads compares `at` with `end` after.
import { scratchBytes, scratchFloat32, scratchFloat64, scratchInt32, scratchInt64, scratchUint64 } from "./scratch.js";

/**
 * Where reading stands. One for the process: reading is synchronous and calls nobody's code, and a field of a known object is the cheapest
 * second return value there is. A read function takes the place to read at and leaves the place after it in `at`.
 *
 * Reads do not check the end one by one: what is beyond it reads as zeros or as what stands there, `at` is then beyond `end`, every loop ends,
 * and the root of the message is refused. Only what takes a length (text, bytes, messages, packed lists) checks before it believes it.
 */
export const reader = { at: 0, end: 0, owned: false };

export function prematureEnd(): never {
  throw new Error("the bytes end within a field");
}

export function illegalTag(tag: number): never {
  throw new Error(`no field has the tag ${tag}`);
}

export function tooDeep(): never {
  throw new Error("messages are nested more than 100 deep");
}

/** A varint of up to 10 bytes, of which the low 32 bits count. */
export function readUint32(b: Uint8Array, p: number): number {
  let byte = b[p]!;
  let value = byte & 0x7f;
  for (let shift = 7; byte > 0x7f && shift < 28; shift += 7) {
    byte = b[++p]!;
    value |= (byte & 0x7f) << shift;
  }
  if (byte > 0x7f) {
    byte = b[++p]!;
    value |= (byte & 0x0f) << 28;
    for (let more = 5; byte > 0x7f && more > 0; more -= 1) byte = b[++p]!;
    if (byte > 0x7f) throw new Error("a varint of more than 10 bytes");
  }
  reader.at = p + 1;
  return value >>> 0;
}

/** A tag; one that names no field, or no wire type, or that 32 bits do not hold is refused. */
export function readTag(b: Uint8Array, p: number): number {
  const tag = readUint32(b, p);
  const length = reader.at - p;
  if (length > 5 || (length === 5 && b[p + 4]! > 0x0f)) throw new Error("a tag of more than 32 bits");
  if (tag < 8 || (tag & 7) > 5) illegalTag(tag);
  return tag;
}

/** A length, which must lie before the end. */
export function readLength(b: Uint8Array, p: number): number {
  const length = readUint32(b, p);
  if (reader.at + length > reader.end) prematureEnd();
  return length;
}

/** Leaves a varint's 64 bits in the scratch. */
function readVarint64(b: Uint8Array, p: number): void {
  let low = 0;
  let high = 0;
  let byte = 0x80;
  for (let shift = 0; byte > 0x7f && shift < 28; shift += 7) {
    byte = b[p++]!;
    low |= (byte & 0x7f) << shift;
  }
  if (byte > 0x7f) {
    byte = b[p++]!;
    low |= (byte & 0x0f) << 28;
    high = (byte & 0x70) >> 4;
    for (let shift = 3; byte > 0x7f && shift < 32; shift += 7) {
      byte = b[p++]!;
      high |= (byte & 0x7f) << shift;
    }
    if (byte > 0x7f) throw new Error("a varint of more than 10 bytes");
  }
  reader.at = p;
  scratchInt32[0] = low;
  scratchInt32[1] = high;
}

export function readInt32(b: Uint8Array, p: number): number {
  return readUint32(b, p) | 0;
}

export function readSint32(b: Uint8Array, p: number): number {
  const zigzag = readUint32(b, p);
  return (zigzag >>> 1) ^ -(zigzag & 1);
}

export function readBool(b: Uint8Array, p: number): boolean {
  readVarint64(b, p);
  return scratchInt32[0] !== 0 || scratchInt32[1] !== 0;
}

export function readInt64(b: Uint8Array, p: number): bigint {
  readVarint64(b, p);
  return scratchInt64[0]!;
}

export function readUint64(b: Uint8Array, p: number): bigint {
  readVarint64(b, p);
  return scratchUint64[0]!;
}

export function readSint64(b: Uint8Array, p: number): bigint {
  readVarint64(b, p);
  const low = scratchInt32[0]!;
  const high = scratchInt32[1]!;
  const sign = -(low & 1);
  scratchInt32[0] = ((low >>> 1) | (high << 31)) ^ sign;
  scratchInt32[1] = (high >>> 1) ^ sign;
  return scratchInt64[0]!;
}

function readFixed(b: Uint8Array, p: number, length: 4 | 8): void {
  for (let i = 0; i < length; i += 1) scratchBytes[i] = b[p + i]!;
  reader.at = p + length;
}

export function readFixed32(b: Uint8Array, p: number): number {
  return readSfixed32(b, p) >>> 0;
}

export function readSfixed32(b: Uint8Array, p: number): number {
  reader.at = p + 4;
  return b[p]! | (b[p + 1]! << 8) | (b[p + 2]! << 16) | (b[p + 3]! << 24);
}

export function readFixed64(b: Uint8Array, p: number): bigint {
  readFixed(b, p, 8);
  return scratchUint64[0]!;
}

export function readSfixed64(b: Uint8Array, p: number): bigint {
  readFixed(b, p, 8);
  return scratchInt64[0]!;
}

export function readFloat(b: Uint8Array, p: number): number {
  readFixed(b, p, 4);
  return scratchFloat32[0]!;
}

export function readDouble(b: Uint8Array, p: number): number {
  readFixed(b, p, 8);
  return scratchFloat64[0]!;
}

/** From this length on, a `bytes` field of a message whose buffer was handed over is a view of it. */
export const viewFromBytes = 4096;

const sliceOfBytes = Uint8Array.prototype.slice;
/** An empty array holds nothing that could be changed, so all fields can share it. */
export const noBytes = new Uint8Array(0);

/** A copy of what lies between, in memory of its own. */
export function copyOfBytes(b: Uint8Array, start: number, end: number): Uint8Array {
  // A Buffer's slice would be a view, and its species a Buffer.
  return plainBytes(b) ? sliceOfBytes.call(b, start, end) : new Uint8Array(b.subarray(start, end));
}

function plainBytes(b: Uint8Array): boolean {
  return b.constructor === Uint8Array;
}

export function readBytes(b: Uint8Array, p: number): Uint8Array {
  const length = readLength(b, p);
  const start = reader.at;
  const end = start + length;
  reader.at = end;
  if (reader.owned && length >= viewFromBytes) return new Uint8Array(b.buffer, b.byteOffset + start, length);
  return length === 0 ? noBytes : copyOfBytes(b, start, end);
}
