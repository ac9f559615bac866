// biome-ignore-all lint/style/noNonNullAssertion: the scratch has the indexes that are read from it.
import type { SendBuffer } from "../send-buffer.js";
import { bytesOfLength, writeLength } from "./length.js";
import { scratchBytes, scratchFloat32, scratchFloat64, scratchInt32, scratchInt64, scratchUint64 } from "./scratch.js";

/**
 * The buffer that is being filled, as every encoder sees it. Encoders carry the place (`p`) as a number from call to call; whoever writes
 * makes sure of room first. Write functions for single values take it that 10 bytes are free.
 */
export class Writer {
  bytes: Uint8Array;
  /** Whether map entries are to be sorted. */
  deterministic = false;
  #buffer: SendBuffer;

  constructor(buffer: SendBuffer) {
    this.#buffer = buffer;
    this.bytes = buffer.bytes;
  }

  /** Fills another buffer from now on. */
  use(buffer: SendBuffer, deterministic: boolean): void {
    this.#buffer = buffer;
    this.bytes = buffer.bytes;
    this.deterministic = deterministic;
  }

  /** Makes room for `count` bytes beyond the first `used`, and gives the bytes, which may be others now. */
  grow(used: number, count: number): Uint8Array {
    this.#buffer.grow(used, count);
    this.bytes = this.#buffer.bytes;
    if (this.bytes.length < used + count) throw new Error("the send buffer did not grow");
    return this.bytes;
  }
}

/** What a value that is out of its type is refused with. `field` names it: `shop.orders.v1.Order.total`. */
function refuse(field: string, type: string, value: unknown): never {
  throw new Error(
    `${field}: not a value of type ${type}: ${typeof value === "string" ? JSON.stringify(value) : String(value)}`,
  );
}

/** A number between two, from a number or the text of one. */
function integer(value: unknown, low: number, high: number, field: string, type: string): number {
  const number = typeof value === "string" ? Number(value) : value;
  if (typeof number !== "number" || !Number.isInteger(number) || number < low || number > high) {
    refuse(field, type, value);
  }
  return number;
}

const minInt32 = -0x8000_0000;
const maxInt32 = 0x7fff_ffff;
const maxUint32 = 0xffff_ffff;
const maxFloat = 3.4028234663852886e38;

export function writeInt32(b: Uint8Array, p: number, value: unknown, field: string): number {
  const number = integer(value, minInt32, maxInt32, field, "int32");
  if (number >= 0) return writeLength(b, p, number);
  // Sign-extended to 64 bits.
  b[p] = (number & 0x7f) | 0x80;
  b[p + 1] = ((number >> 7) & 0x7f) | 0x80;
  b[p + 2] = ((number >> 14) & 0x7f) | 0x80;
  b[p + 3] = ((number >> 21) & 0x7f) | 0x80;
  b[p + 4] = ((number >> 28) & 0x7f) | 0x80;
  b.fill(0xff, p + 5, p + 9);
  b[p + 9] = 1;
  return p + 10;
}

export function writeUint32(b: Uint8Array, p: number, value: unknown, field: string): number {
  return writeLength(b, p, integer(value, 0, maxUint32, field, "uint32"));
}

export function writeSint32(b: Uint8Array, p: number, value: unknown, field: string): number {
  const number = integer(value, minInt32, maxInt32, field, "sint32");
  return writeLength(b, p, ((number << 1) ^ (number >> 31)) >>> 0);
}

export function writeBool(b: Uint8Array, p: number, value: unknown): number {
  b[p] = value ? 1 : 0;
  return p + 1;
}

function bigintOf(value: unknown, field: string, type: string): bigint {
  if (typeof value === "bigint") return value;
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") refuse(field, type, value);
  try {
    return BigInt(value);
  } catch {
    // Text that is no number, or a number with a fraction.
    return refuse(field, type, value);
  }
}

/** Leaves a signed number in the scratch. */
function scratchSigned(value: unknown, field: string, type: string): void {
  const number = bigintOf(value, field, type);
  scratchInt64[0] = number;
  if (scratchInt64[0] !== number) refuse(field, type, value);
}

/** Leaves an unsigned number in the scratch. */
function scratchUnsigned(value: unknown, field: string, type: string): void {
  const number = bigintOf(value, field, type);
  scratchUint64[0] = number;
  if (scratchUint64[0] !== number) refuse(field, type, value);
}

/** Writes the scratch as a varint. */
function writeVarint64(b: Uint8Array, p: number, low: number, high: number): number {
  while (high !== 0 || low >>> 0 > 0x7f) {
    b[p++] = (low & 0x7f) | 0x80;
    low = (low >>> 7) | (high << 25);
    high >>>= 7;
  }
  b[p++] = low;
  return p;
}

export function writeInt64(b: Uint8Array, p: number, value: unknown, field: string): number {
  scratchSigned(value, field, "int64");
  return writeVarint64(b, p, scratchInt32[0]!, scratchInt32[1]!);
}

export function writeUint64(b: Uint8Array, p: number, value: unknown, field: string): number {
  scratchUnsigned(value, field, "uint64");
  return writeVarint64(b, p, scratchInt32[0]!, scratchInt32[1]!);
}

export function writeSint64(b: Uint8Array, p: number, value: unknown, field: string): number {
  scratchSigned(value, field, "sint64");
  const low = scratchInt32[0]!;
  const high = scratchInt32[1]!;
  const sign = high >> 31;
  return writeVarint64(b, p, (low << 1) ^ sign, ((high << 1) | (low >>> 31)) ^ sign);
}

function writeScratch(b: Uint8Array, p: number, length: 4 | 8): number {
  for (let i = 0; i < length; i += 1) b[p + i] = scratchBytes[i]!;
  return p + length;
}

export function writeFixed32(b: Uint8Array, p: number, value: unknown, field: string): number {
  const number = integer(value, 0, maxUint32, field, "fixed32");
  return writeWord(b, p, number);
}

export function writeSfixed32(b: Uint8Array, p: number, value: unknown, field: string): number {
  const number = integer(value, minInt32, maxInt32, field, "sfixed32");
  return writeWord(b, p, number);
}

function writeWord(b: Uint8Array, p: number, word: number): number {
  b[p] = word;
  b[p + 1] = word >>> 8;
  b[p + 2] = word >>> 16;
  b[p + 3] = word >>> 24;
  return p + 4;
}

export function writeFixed64(b: Uint8Array, p: number, value: unknown, field: string): number {
  scratchUnsigned(value, field, "fixed64");
  return writeScratch(b, p, 8);
}

export function writeSfixed64(b: Uint8Array, p: number, value: unknown, field: string): number {
  scratchSigned(value, field, "sfixed64");
  return writeScratch(b, p, 8);
}

export function writeFloat(b: Uint8Array, p: number, value: unknown, field: string): number {
  const number = typeof value === "string" ? Number(value) : value;
  if (typeof number !== "number" || (Number.isNaN(number) && typeof value === "string" && value !== "NaN")) {
    refuse(field, "float", value);
  }
  if (Number.isFinite(number) && (number > maxFloat || number < -maxFloat)) refuse(field, "float", value);
  scratchFloat32[0] = number;
  return writeScratch(b, p, 4);
}

export function writeDouble(b: Uint8Array, p: number, value: unknown): number {
  // As DataView has it: what is no number becomes one.
  scratchFloat64[0] = Number(value);
  return writeScratch(b, p, 8);
}

/** A length and its bytes, leaving `room` bytes free behind them. */
export function writeBytes(w: Writer, p: number, value: unknown, room: number, field: string): number {
  if (!isBytes(value)) refuse(field, "bytes", value);
  return writeRaw(w, writeLengthAt(w, p, value.length), value, room);
}

/** Bytes, of this realm or another. */
export function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array || Object.prototype.toString.call(value) === "[object Uint8Array]";
}

/** A length, leaving 5 bytes for it. */
function writeLengthAt(w: Writer, p: number, length: number): number {
  const b = p + 5 > w.bytes.length ? w.grow(p, 5) : w.bytes;
  return writeLength(b, p, length);
}

/** Bytes as they are. */
export function writeRaw(w: Writer, p: number, value: Uint8Array, room: number): number {
  const length = value.length;
  let b = w.bytes;
  if (p + length + room > b.length) b = w.grow(p, length + room);
  if (length <= 24) for (let i = 0; i < length; i += 1) b[p + i] = value[i]!;
  else b.set(value, p);
  return p + length;
}

/**
 * Sets the length before what was written from `start` to `end`, for which `reserved` bytes were left before `start`; moves it when the
 * length takes more or fewer. Gives the place after it, with `room` bytes free behind it.
 */
export function closeLength(w: Writer, start: number, end: number, reserved: number, room: number): number {
  const length = end - start;
  const prefix = bytesOfLength(length);
  const shift = prefix - reserved;
  let b = w.bytes;
  if (end + shift + room > b.length) b = w.grow(end, Math.max(shift, 0) + room);
  if (shift !== 0) b.copyWithin(start + shift, start, end);
  writeLength(b, start - reserved, length);
  return end + shift;
}
