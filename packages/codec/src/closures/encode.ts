import { ScalarType } from "@bufbuild/protobuf";
import { writeLength } from "../bytes/length.js";
import { writeText } from "../bytes/text.js";
import { writeUnknown } from "../bytes/unknown.js";
import { closeLength, type Writer, writeBytes } from "../bytes/writer.js";
import { type Encode, foreignMessage, type LocalMessage } from "../message-type.js";
import {
  type FieldPlan,
  type MessagePlan,
  type PlacePlan,
  packedTagOf,
  type ValuePlan,
  wireTypeOf,
  wireTypeOfScalar,
} from "../plan.js";
import { isZero, keyValue, scalarWriters, zeroOfScalar } from "../scalars.js";
import { sortedKeys, toMessage } from "../well-known.js";

/** Writes one value at `p` and gives the place after it. */
type WriteValue = (w: Writer, p: number, value: unknown) => number;
/** Writes what a message has of one field. */
type WriteField = (m: LocalMessage, w: Writer, p: number) => number;

/** Room of a scalar that is neither text nor bytes, and of a tag. */
const scalarRoom = 10;

/** An encoder of closures, one a field: what runs where source must not be compiled. */
export function closureEncoder(plan: MessagePlan): Encode {
  const writers = plan.fields.map(writeField);
  return (m, w, p) => {
    if (m?.$typeName !== plan.typeName) foreignMessage(m, plan.typeName);
    for (const write of writers) p = write(m, w, p);
    return m.$unknown === undefined ? p : writeUnknown(w, p, m.$unknown);
  };
}

function writeField(field: FieldPlan): WriteField {
  const { name, place, value, label } = field;
  if (place.t === "list") return place.packed ? writePacked(field) : writeList(field);
  if (place.t === "map") return writeMap(field, place);
  const write = tagged(field.tag, writeValue(value, label));
  switch (place.t) {
    case "oneof": {
      const zero = value.t === "scalar" ? zeroOfScalar(value.scalar) : value.t === "enum" ? 0 : undefined;
      return (m, w, p) => {
        const oneof = fromLocal<{ readonly case: string | undefined; readonly value?: unknown }>(m[place.member]);
        return oneof.case === name ? write(w, p, oneof.value === undefined ? zero : oneof.value) : p;
      };
    }
    case "implicit": {
      const isUnset = isZeroOf(value, place);
      return (m, w, p) => (isUnset(m[name]) ? p : write(w, p, m[name]));
    }
    case "explicit":
      return (m, w, p) => {
        const set = m[name];
        if (set !== undefined && (!place.inherited || Object.hasOwn(m, name))) return write(w, p, set);
        if (place.required) throw new Error(`${label}: required, and not set`);
        return p;
      };
  }
}

function isZeroOf(value: ValuePlan, place: PlacePlan & { readonly t: "implicit" }): (value: unknown) => boolean {
  if (value.t !== "scalar") return (set) => set === place.zero || set === undefined;
  return (set) => isZero(value.scalar, set);
}

function tagged(tag: number, write: WriteValue): WriteValue {
  return (w, p, value) => write(w, writeTag(w, p, tag), value);
}

function writeTag(w: Writer, p: number, tag: number): number {
  return writeLength(w.bytes.length < p + scalarRoom ? w.grow(p, scalarRoom) : w.bytes, p, tag);
}

function writeValue(value: ValuePlan, label: string): WriteValue {
  if (value.t === "enum") return writeScalar(ScalarType.INT32, label);
  if (value.t === "scalar") return writeScalar(value.scalar, label);
  const { type, as } = value;
  return (w, p, local) => {
    // One byte is left for the length.
    const end = type.encode(toMessage(type, as, local), w, p + 1);
    return closeLength(w, p + 1, end, 1, 0);
  };
}

function writeScalar(scalar: ScalarType, label: string): WriteValue {
  if (scalar === ScalarType.STRING) return (w, p, value) => writeText(w, p, value, 0);
  if (scalar === ScalarType.BYTES) return (w, p, value) => writeBytes(w, p, value, 0, label);
  const write = scalarWriters[scalar];
  return (w, p, value) => {
    const b = w.bytes.length < p + scalarRoom ? w.grow(p, scalarRoom) : w.bytes;
    return write(b, p, value, label);
  };
}

function writeList(field: FieldPlan): WriteField {
  const write = tagged(field.tag, writeValue(field.value, field.label));
  return (m, w, p) => {
    for (const item of fromLocal<readonly unknown[]>(m[field.name])) p = write(w, p, item);
    return p;
  };
}

function writePacked(field: FieldPlan): WriteField {
  const write = writeValue(field.value, field.label);
  const tag = packedTagOf(field);
  return (m, w, p) => {
    const list = fromLocal<readonly unknown[]>(m[field.name]);
    if (list.length === 0) return p;
    const start = writeTag(w, p, tag) + 1;
    let end = start;
    for (const item of list) end = write(w, end, item);
    return closeLength(w, start, end, 1, 0);
  };
}

function writeMap(field: FieldPlan, place: { readonly key: ScalarType }): WriteField {
  const { key } = place;
  const numeric = key !== ScalarType.STRING && key !== ScalarType.BOOL;
  const writeKey = tagged(8 | wireTypeOfScalar(key), writeScalar(key, field.label));
  const write = tagged(16 | wireTypeOf(field.value), writeValue(field.value, field.label));
  return (m, w, p) => {
    const map = fromLocal<Readonly<Record<string, unknown>>>(m[field.name]);
    for (const name of w.deterministic ? sortedKeys(map, numeric) : Object.keys(map)) {
      const start = writeTag(w, p, field.tag) + 1;
      const end = write(w, writeKey(w, start, keyValue(name, key)), map[name]);
      p = closeLength(w, start, end, 1, 0);
    }
    return p;
  };
}

/** What stands in a message as its descriptor says; if it doesn't, whoever writes it refuses it. */
function fromLocal<T>(value: unknown): T {
  return value as T;
}
