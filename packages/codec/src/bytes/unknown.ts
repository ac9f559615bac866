// biome-ignore-all lint/style/noNonNullAssertion: a byte beyond the end reads as undefined and counts as 0; the end is checked after.
import type { UnknownField } from "@bufbuild/protobuf";
import { writeLength } from "./length.js";
import { copyOfBytes, prematureEnd, reader, readTag, readUint32 } from "./reader.js";
import { type Writer, writeRaw } from "./writer.js";

/** What a message holds that its type does not know. */
export interface Unknowing {
  $unknown?: UnknownField[] | undefined;
}

/** Keeps a field that the type does not know, and gives the place after it. Groups may nest `depth` deep. */
export function keepUnknown(m: Unknowing, b: Uint8Array, tag: number, p: number, depth: number): number {
  const wireType = tag & 7;
  const end = skip(b, p, wireType, tag >>> 3, depth);
  addUnknown(m, { no: tag >>> 3, wireType, data: copyOfBytes(b, p, end) });
  return end;
}

/** Keeps a value that a closed enum does not have. */
export function keepEnumValue(m: Unknowing, no: number, value: number): void {
  const low = [];
  let rest = value >>> 0;
  for (let i = 0; i < 4 && rest > 0x7f; i += 1) {
    low.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  // A negative number is sign-extended to 64 bits.
  if (value < 0) low.push(rest | 0xf0, 0xff, 0xff, 0xff, 0xff, 1);
  else low.push(rest);
  addUnknown(m, { no, wireType: 0, data: Uint8Array.from(low) });
}

function addUnknown(m: Unknowing, field: UnknownField): void {
  if (m.$unknown === undefined) m.$unknown = [field];
  else m.$unknown.push(field);
}

function skip(b: Uint8Array, p: number, wireType: number, no: number, depth: number): number {
  let end = p;
  switch (wireType) {
    case 0:
      while (b[end++]! > 0x7f);
      break;
    case 1:
      end += 8;
      break;
    case 2: {
      const length = readUint32(b, p);
      end = reader.at + length;
      break;
    }
    case 3:
      return skipGroup(b, p, no, depth);
    case 5:
      end += 4;
      break;
    default:
      throw new Error(`the group of field ${no} ends and never began`);
  }
  if (end > reader.end) prematureEnd();
  return end;
}

function skipGroup(b: Uint8Array, p: number, no: number, depth: number): number {
  if (depth <= 0) throw new Error("groups are nested too deep");
  for (;;) {
    if (p >= reader.end) prematureEnd();
    const tag = readTag(b, p);
    if ((tag & 7) === 4) {
      if (tag >>> 3 !== no) throw new Error(`the group of field ${no} is ended as one of field ${tag >>> 3}`);
      if (reader.at > reader.end) prematureEnd();
      return reader.at;
    }
    p = skip(b, reader.at, tag & 7, tag >>> 3, depth - 1);
  }
}

/** Writes what was kept, as it came. */
export function writeUnknown(w: Writer, p: number, fields: readonly UnknownField[]): number {
  for (const { no, wireType, data } of fields) {
    let b = w.bytes;
    if (p + 5 > b.length) b = w.grow(p, 5);
    p = writeRaw(w, writeLength(b, p, ((no << 3) | wireType) >>> 0), data, 0);
  }
  return p;
}
