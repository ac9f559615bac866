import { ScalarType } from "@bufbuild/protobuf";
import * as read from "./bytes/reader.js";
import { readText, readTextUnchecked } from "./bytes/text.js";
import * as write from "./bytes/writer.js";

/** Reads a value at `p` and leaves the place after it in `reader.at`. */
export type ReadScalar = (b: Uint8Array, p: number) => unknown;
/** Writes a value at `p`, where 10 bytes are free, and gives the place after it. */
export type WriteScalar = (b: Uint8Array, p: number, value: unknown, field: string) => number;

/** The scalars whose longest form is 10 bytes; text and bytes are apart. */
type FixedRoomScalar = Exclude<ScalarType, ScalarType.STRING | ScalarType.BYTES>;

/** Names of the functions, which are also their names in compiled source. */
const names: Readonly<Record<FixedRoomScalar, string>> = {
  [ScalarType.DOUBLE]: "Double",
  [ScalarType.FLOAT]: "Float",
  [ScalarType.INT64]: "Int64",
  [ScalarType.UINT64]: "Uint64",
  [ScalarType.INT32]: "Int32",
  [ScalarType.FIXED64]: "Fixed64",
  [ScalarType.FIXED32]: "Fixed32",
  [ScalarType.BOOL]: "Bool",
  [ScalarType.UINT32]: "Uint32",
  [ScalarType.SFIXED32]: "Sfixed32",
  [ScalarType.SFIXED64]: "Sfixed64",
  [ScalarType.SINT32]: "Sint32",
  [ScalarType.SINT64]: "Sint64",
};

export function nameOfScalar(scalar: ScalarType): string {
  if (scalar === ScalarType.STRING) return "Text";
  return scalar === ScalarType.BYTES ? "Bytes" : names[scalar];
}

export const scalarReaders: Readonly<Record<FixedRoomScalar, ReadScalar>> = {
  [ScalarType.DOUBLE]: read.readDouble,
  [ScalarType.FLOAT]: read.readFloat,
  [ScalarType.INT64]: read.readInt64,
  [ScalarType.UINT64]: read.readUint64,
  [ScalarType.INT32]: read.readInt32,
  [ScalarType.FIXED64]: read.readFixed64,
  [ScalarType.FIXED32]: read.readFixed32,
  [ScalarType.BOOL]: read.readBool,
  [ScalarType.UINT32]: read.readUint32,
  [ScalarType.SFIXED32]: read.readSfixed32,
  [ScalarType.SFIXED64]: read.readSfixed64,
  [ScalarType.SINT32]: read.readSint32,
  [ScalarType.SINT64]: read.readSint64,
};

export const scalarWriters: Readonly<Record<FixedRoomScalar, WriteScalar>> = {
  [ScalarType.DOUBLE]: write.writeDouble,
  [ScalarType.FLOAT]: write.writeFloat,
  [ScalarType.INT64]: write.writeInt64,
  [ScalarType.UINT64]: write.writeUint64,
  [ScalarType.INT32]: write.writeInt32,
  [ScalarType.FIXED64]: write.writeFixed64,
  [ScalarType.FIXED32]: write.writeFixed32,
  [ScalarType.BOOL]: write.writeBool,
  [ScalarType.UINT32]: write.writeUint32,
  [ScalarType.SFIXED32]: write.writeSfixed32,
  [ScalarType.SFIXED64]: write.writeSfixed64,
  [ScalarType.SINT32]: write.writeSint32,
  [ScalarType.SINT64]: write.writeSint64,
};

export function scalarReader(scalar: ScalarType, checked: boolean): ReadScalar {
  if (scalar === ScalarType.STRING) return checked ? readText : readTextUnchecked;
  return scalar === ScalarType.BYTES ? read.readBytes : scalarReaders[scalar];
}

export function is64Bit(scalar: ScalarType): boolean {
  switch (scalar) {
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return true;
    default:
      return false;
  }
}

/** What a map's entry has for a key or value that was not sent. */
export function zeroOfScalar(scalar: ScalarType): unknown {
  if (scalar === ScalarType.STRING) return "";
  if (scalar === ScalarType.BYTES) return read.noBytes;
  if (scalar === ScalarType.BOOL) return false;
  return is64Bit(scalar) ? 0n : 0;
}

/** A map's key as a value, from the property's name. What names no value is left to be refused. */
export function keyValue(key: string, scalar: ScalarType): unknown {
  switch (scalar) {
    case ScalarType.STRING:
      return key;
    case ScalarType.BOOL:
      return key !== "false" && key !== "";
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return key === "" ? 0n : key;
    default: {
      const number = Number.parseInt(key, 10);
      return Number.isFinite(number) ? number : key;
    }
  }
}

/** Whether a field with implicit presence has its zero, or nothing, and so is not written. */
export function isZero(scalar: ScalarType, value: unknown): boolean {
  if (value === undefined) return true;
  switch (scalar) {
    case ScalarType.BOOL:
      return value === false;
    case ScalarType.STRING:
      return value === "";
    case ScalarType.BYTES:
      return write.isBytes(value) && value.length === 0;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return Object.is(value, 0);
    default:
      // 0, 0n and "0" alike, as protobuf-es has it.
      // biome-ignore lint/suspicious/noDoubleEquals: see above.
      return value == 0;
  }
}
