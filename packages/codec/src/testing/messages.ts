import {
  create,
  type DescField,
  type DescMessage,
  type Message,
  ScalarType,
  type UnknownField,
} from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import * as fc from "fast-check";

/**
 * Random messages of a type, as a program would hold them. `faithful` leaves out the two values that protobuf-es itself does not give back:
 * text that begins with a byte order mark, and the map key `__proto__`.
 */
export function messageArbitrary(desc: DescMessage, depth = 3): fc.Arbitrary<Message> {
  const members = desc.members.map((member) => {
    if (member.kind === "field") {
      const set = valueArbitrary(member, depth).map((value) => ({ [member.localName]: value }));
      return member.presence === FeatureSet_FieldPresence.LEGACY_REQUIRED
        ? set
        : fc.oneof(fc.constant({}), { weight: 3, arbitrary: set });
    }
    const cases = member.fields.map((field) =>
      valueArbitrary(field, depth).map((value) => ({ [member.localName]: { case: field.localName, value } })),
    );
    return fc.oneof(fc.constant({}), ...cases);
  });
  return fc.tuple(fc.tuple(...members), unknownArbitrary(desc)).map(([parts, unknown]) => {
    const message = create(desc);
    // Not through create's init, which would turn what it is given into other things.
    for (const part of parts) {
      for (const [name, value] of Object.entries(part)) if (value !== undefined) Reflect.set(message, name, value);
    }
    if (unknown.length > 0) message.$unknown = unknown;
    return message;
  });
}

function valueArbitrary(field: DescField, depth: number): fc.Arbitrary<unknown> {
  switch (field.fieldKind) {
    case "list":
      return fc.array(oneValue(field, depth), { maxLength: depth > 1 ? 5 : 1 });
    case "map":
      return fc
        .array(fc.tuple(keyArbitrary(field.mapKey), oneValue(field, depth)), { maxLength: depth > 1 ? 4 : 1 })
        .map((entries) => Object.fromEntries(entries.filter(([, value]) => value !== undefined)));
    default:
      return oneValue(field, depth);
  }
}

function oneValue(field: DescField, depth: number): fc.Arbitrary<unknown> {
  if (field.message !== undefined) return messageValue(field, field.message, depth);
  if (field.enum !== undefined) {
    const known = fc.constantFrom(...field.enum.values.map((value) => value.number));
    return field.enum.open ? fc.oneof(known, fc.integer()) : known;
  }
  const longAsString = "longAsString" in field && field.longAsString;
  return scalarArbitrary(field.scalar ?? ScalarType.INT32).map((value) =>
    longAsString && typeof value === "bigint" ? String(value) : value,
  );
}

function messageValue(field: DescField, message: DescMessage, depth: number): fc.Arbitrary<unknown> {
  const isSingular = field.fieldKind === "message" && field.oneof === undefined;
  const wrapped = message.fields[0];
  if (isSingular && message.file.proto.name === "google/protobuf/wrappers.proto" && wrapped?.scalar !== undefined) {
    return scalarArbitrary(wrapped.scalar);
  }
  if (message.typeName === "google.protobuf.Struct" && field.parent.typeName !== "google.protobuf.Value") {
    return fc.dictionary(keyText, jsonArbitrary, { maxKeys: 4 });
  }
  if (depth > 0) return messageArbitrary(message, depth - 1);
  return fc.constantFrom(create(message)).map((empty) => (hasRequired(message) ? undefined : empty));
}

/** Whether an empty message could not be written. */
function hasRequired(message: DescMessage): boolean {
  return message.fields.some((field) => field.presence === FeatureSet_FieldPresence.LEGACY_REQUIRED);
}

const jsonArbitrary = fc
  .jsonValue({ maxDepth: 2 })
  .filter((value) => !JSON.stringify(value).includes("__proto__") && !JSON.stringify(value).includes("\ufeff"));

const textArbitrary = fc
  .oneof(
    fc.string({ maxLength: 8 }),
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.string({ unit: "grapheme", maxLength: 60 }),
    fc.string({ minLength: 100, maxLength: 300 }),
    fc.constantFrom(
      "é".repeat(63),
      "é".repeat(64),
      "é".repeat(70),
      "x".repeat(127),
      "x".repeat(128),
      "\ufffd",
      "€".repeat(5500),
    ),
  )
  .map((text) => (text.startsWith("\ufeff") ? `_${text}` : text));

const keyText = textArbitrary.filter((text) => text !== "__proto__");

function keyArbitrary(scalar: ScalarType): fc.Arbitrary<string> {
  return scalar === ScalarType.STRING ? keyText : scalarArbitrary(scalar).map(String);
}

const int32 = fc.oneof(fc.integer(), fc.integer({ min: -200, max: 200 }), fc.constantFrom(0x7fff_ffff, -0x8000_0000));
const uint32 = fc.oneof(
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.integer({ min: 0, max: 300 }),
  fc.constantFrom(0xffff_ffff),
);
const int64 = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: -300n, max: 300n }));
const uint64 = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 300n }));

function scalarArbitrary(scalar: ScalarType): fc.Arbitrary<unknown> {
  switch (scalar) {
    case ScalarType.STRING:
      return textArbitrary;
    case ScalarType.BYTES:
      return fc.oneof(fc.uint8Array({ maxLength: 70 }), fc.uint8Array({ minLength: 120, maxLength: 140 }));
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.DOUBLE:
      return fc.double();
    case ScalarType.FLOAT:
      return fc.float();
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return int64;
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return uint64;
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return uint32;
    default:
      return int32;
  }
}

/** Fields that the type does not have, of each wire type. */
function unknownArbitrary(desc: DescMessage): fc.Arbitrary<UnknownField[]> {
  const known = new Set(desc.fields.map((field) => field.number));
  const no = fc.integer({ min: 1, max: 4000 }).filter((number) => !known.has(number));
  const bytes = (data: readonly number[]) => Uint8Array.from(data);
  const data = fc.constantFrom<{ wireType: number; data: Uint8Array }>(
    { wireType: 0, data: bytes([0x96, 0x01]) },
    { wireType: 1, data: bytes([1, 2, 3, 4, 5, 6, 7, 8]) },
    { wireType: 2, data: bytes([3, 0x61, 0x62, 0x63]) },
    { wireType: 5, data: bytes([1, 2, 3, 4]) },
  );
  const one = fc.tuple(no, data).map(([number, field]) => ({ no: number, ...field }));
  return fc.oneof(
    { weight: 4, arbitrary: fc.constant<UnknownField[]>([]) },
    { weight: 1, arbitrary: fc.array(one, { maxLength: 3 }) },
  );
}
