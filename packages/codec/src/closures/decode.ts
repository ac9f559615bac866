import type { ScalarType } from "@bufbuild/protobuf";
import { reader, readInt32, readLength, readTag, tooDeep } from "../bytes/reader.js";
import { keepEnumValue, keepUnknown } from "../bytes/unknown.js";
import type { Decode, LocalMessage } from "../message-type.js";
import { type FieldPlan, isPackable, type MessagePlan, packedTagOf, type ValuePlan } from "../plan.js";
import { scalarReader, zeroOfScalar } from "../scalars.js";
import { setEntry, toLocal, toMessage } from "../well-known.js";

/** Reads one value at `p`, leaving the place after it in `reader.at`. A message that was there before is read into. */
type ReadValue = (b: Uint8Array, p: number, depth: number, before: unknown) => unknown;
/** Reads one field at `p` into a message, and gives the place after it. */
type ReadField = (m: LocalMessage, b: Uint8Array, p: number, depth: number) => number;

/** A decoder of closures, one a field: what runs where source must not be compiled. */
export function closureDecoder(plan: MessagePlan): Decode {
  const byTag = new Map<number, ReadField>();
  const byNumber = new Map<number, ReadField>();
  for (const field of plan.fields) {
    const read = readField(field);
    byTag.set(field.tag, read);
    byNumber.set(field.no, read);
    if (field.place.t === "list" && isPackable(field.value)) byTag.set(packedTagOf(field), readPacked(field));
  }
  return (m, b, p, end, depth) => {
    if (depth <= 0) tooDeep();
    while (p < end) {
      const tag = readTag(b, p);
      p = reader.at;
      // A field of another wire type than its own is read as its own, as protobuf-es does.
      const read = byTag.get(tag) ?? byNumber.get(tag >>> 3);
      p = read === undefined ? keepUnknown(m, b, tag, p, depth - 1) : read(m, b, p, depth);
    }
    return p;
  };
}

function readField(field: FieldPlan): ReadField {
  const { name, place } = field;
  const read = readValue(field.value);
  switch (place.t) {
    case "list":
      return (m, b, p, depth) => {
        listOf(m, name).push(read(b, p, depth, undefined));
        return reader.at;
      };
    case "map":
      return readEntry(field, read, place);
    case "oneof":
      return readSingular(field, read, {
        get(m) {
          const oneof = oneofOf(m, place.member);
          return oneof.case === name ? oneof.value : undefined;
        },
        set(m, value) {
          m[place.member] = { case: name, value };
        },
      });
    case "implicit":
    case "explicit":
      return readSingular(field, read, {
        get: (m) => m[name],
        set(m, value) {
          m[name] = value;
        },
      });
  }
}

/** Where a field that has one value keeps it. */
interface Singular {
  get(m: LocalMessage): unknown;
  set(m: LocalMessage, value: unknown): void;
}

function readSingular({ no, value }: FieldPlan, read: ReadValue, place: Singular): ReadField {
  if (value.t === "enum" && value.closed !== undefined) {
    const { closed } = value;
    return (m, b, p) => {
      const number = readInt32(b, p);
      if (closed.has(number)) place.set(m, number);
      else keepEnumValue(m, no, number);
      return reader.at;
    };
  }
  const merges = value.t === "message";
  return (m, b, p, depth) => {
    place.set(m, read(b, p, depth, merges ? place.get(m) : undefined));
    return reader.at;
  };
}

function readValue(value: ValuePlan): ReadValue {
  if (value.t === "enum") return readInt32;
  if (value.t === "scalar") {
    const read = scalarReader(value.scalar, value.checked);
    return value.longAsString ? (b, p) => String(read(b, p)) : read;
  }
  const { type, as } = value;
  return (b, p, depth, before) => {
    const length = readLength(b, p);
    const start = reader.at;
    const message = before === undefined ? type.create() : toMessage(type, as, before);
    reader.at = type.decode(message, b, start, start + length, depth - 1);
    return toLocal(as, message);
  };
}

function readPacked(field: FieldPlan): ReadField {
  const read = readValue(field.value);
  return (m, b, p, depth) => {
    const list = listOf(m, field.name);
    const length = readLength(b, p);
    const end = reader.at + length;
    for (p = reader.at; p < end; p = reader.at) list.push(read(b, p, depth, undefined));
    return p;
  };
}

function readEntry(
  field: FieldPlan,
  read: ReadValue,
  place: { readonly key: ScalarType; readonly checked: boolean; readonly zero: unknown },
): ReadField {
  const readKey = scalarReader(place.key, place.checked);
  const zeroKey = zeroOfScalar(place.key);
  const value = field.value;
  return (m, b, p, depth) => {
    const length = readLength(b, p);
    const end = reader.at + length;
    let key: unknown;
    let entry: unknown;
    for (p = reader.at; p < end; p = reader.at) {
      const no = readTag(b, p) >>> 3;
      if (no === 1) key = readKey(b, reader.at);
      else if (no === 2) entry = read(b, reader.at, depth, undefined);
    }
    if (entry === undefined) {
      if (value.t === "message") entry = toLocal(value.as, value.type.create());
      else entry = value.t === "enum" ? place.zero : zeroOfScalar(value.scalar);
    }
    setEntry(mapOf(m, field.name), String(key ?? zeroKey), entry);
    return p;
  };
}

function listOf(m: LocalMessage, name: string): unknown[] {
  return fromLocal<unknown[]>(m[name]);
}

function mapOf(m: LocalMessage, name: string): Record<string, unknown> {
  return fromLocal<Record<string, unknown>>(m[name]);
}

function oneofOf(m: LocalMessage, name: string): { readonly case: string | undefined; readonly value?: unknown } {
  return fromLocal(m[name]);
}

/** A message that `create` made has these as its descriptor says. */
function fromLocal<T>(value: unknown): T {
  return value as T;
}
