import { ScalarType } from "@bufbuild/protobuf";
import type { Encode } from "../message-type.js";
import {
  type FieldPlan,
  type MessagePlan,
  type PlacePlan,
  packedTagOf,
  type ValuePlan,
  wireTypeOf,
  wireTypeOfScalar,
} from "../plan.js";
import { is64Bit, nameOfScalar, zeroOfScalar } from "../scalars.js";
import { quote, Source } from "./source.js";

/** Longest tag and longest scalar; enough for a tag and a length, too. */
const fieldRoom = 15;
/** Room that an entry of a map or an item of a list takes beyond text and bytes: two tags, key, value, length. */
const itemRoom = 40;

/**
 * An encoder as one function. Within it `m` is the message, `w` the writer, `b` its bytes (read again after whatever may have grown them),
 * `p` the place, and `v` a value. At each field's start there is room for all fields that are neither text, bytes nor messages: it is made
 * once at the beginning, and again by whatever takes more.
 */
export function sourceEncoder(plan: MessagePlan): Encode {
  const source = new Source();
  const room = plan.fields.length * fieldRoom + itemRoom;
  source.add(
    `if (m === undefined || m === null || m.$typeName !== ${quote(plan.typeName)}) foreignMessage(m, ${quote(plan.typeName)});`,
    "let b = w.bytes, v, n, q, x, y;",
    `if (p + ${room} > b.length) b = w.grow(p, ${room});`,
  );
  const members = new Map([...plan.oneofs].map((name, index) => [name, `o${index}`]));
  for (const [name, variable] of members) {
    source.add(`const ${variable} = m[${quote(name)}], ${variable}c = ${variable}.case;`);
  }
  for (const field of plan.fields) source.add(...writeField(field, room, members, source));
  source.add("if (m.$unknown !== undefined) return writeUnknown(w, p, m.$unknown);", "return p;");
  return source.compile<Encode>("encode(m, w, p)");
}

function writeField(
  field: FieldPlan,
  room: number,
  members: ReadonlyMap<string, string>,
  source: Source,
): readonly string[] {
  const { place, value, tag, label } = field;
  const target = `m[${quote(field.name)}]`;
  const write = () => [...writeTag(tag), ...writeValue(value, label, room, source)];
  switch (place.t) {
    case "list":
      return place.packed ? writePacked(field, target, room, source) : writeList(target, write, room);
    case "map":
      return writeMap(field, place, target, room, source);
    case "oneof": {
      const oneof = members.get(place.member) ?? "";
      const zero = value.t === "scalar" ? zeroOfScalar(value.scalar) : value.t === "enum" ? 0 : undefined;
      return [
        `if (${oneof}c === ${quote(field.name)}) {`,
        `v = ${oneof}.value;`,
        ...(zero === undefined ? [] : [`if (v === undefined) v = ${source.constant(zero)};`]),
        ...write(),
        "}",
      ];
    }
    case "implicit":
      return [`v = ${target};`, `if (v !== undefined && (${isSet(value, place.zero)})) {`, ...write(), "}"];
    case "explicit": {
      const inherited = place.inherited ? ` && own.call(m, ${quote(field.name)})` : "";
      const required = place.required ? [`else throw new Error(${quote(`${label}: required, and not set`)});`] : [];
      return [`v = ${target};`, `if (v !== undefined${inherited}) {`, ...write(), "}", ...required];
    }
  }
}

function isSet(value: ValuePlan, zeroEnum: unknown): string {
  if (value.t !== "scalar") return `v !== ${String(zeroEnum)}`;
  switch (value.scalar) {
    case ScalarType.BOOL:
      return "v !== false";
    case ScalarType.STRING:
      return 'v !== ""';
    case ScalarType.BYTES:
      return "!isBytes(v) || v.length !== 0";
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return "v !== 0 || Object.is(v, -0)";
    default:
      return is64Bit(value.scalar) ? 'typeof v === "bigint" ? v !== 0n : v != 0' : "v !== 0 && v != 0";
  }
}

/** A tag as bytes, at the place. */
function writeTag(tag: number): string[] {
  const lines: string[] = [];
  let rest = tag;
  for (; rest > 0x7f; rest >>>= 7) lines.push(`b[p++] = ${(rest & 0x7f) | 0x80};`);
  return [...lines, `b[p++] = ${rest};`];
}

/** Writes `v` at the place. */
function writeValue(value: ValuePlan, label: string, room: number, source: Source): string[] {
  if (value.t === "message") {
    const type = source.constant(value.type);
    const message = value.as === "message" ? "v" : `toMessage(${type}, ${quote(value.as)}, v)`;
    return delimited(room, source, [`q = ${type}.encode(${message}, w, q);`, "b = w.bytes;"]);
  }
  return writeScalar(value.t === "enum" ? ScalarType.INT32 : value.scalar, label, room);
}

/** Writes `v`, at `p` or at another place: nothing but what can be packed is written elsewhere. */
function writeScalar(scalar: ScalarType, label: string, room: number, at: "p" | "q" = "p"): string[] {
  switch (scalar) {
    case ScalarType.STRING:
      return [`p = writeText(w, p, v, ${room});`, "b = w.bytes;"];
    case ScalarType.BYTES:
      return [`p = writeBytes(w, p, v, ${room}, ${quote(label)});`, "b = w.bytes;"];
    case ScalarType.BOOL:
      return [`b[${at}++] = v ? 1 : 0;`];
    case ScalarType.INT32:
    case ScalarType.UINT32:
      return [
        `if ((v & 127) === v) b[${at}++] = v;`,
        `else ${at} = write${nameOfScalar(scalar)}(b, ${at}, v, ${quote(label)});`,
      ];
    default:
      return [`${at} = write${nameOfScalar(scalar)}(b, ${at}, v, ${quote(label)});`];
  }
}

/**
 * A length and what it is the length of, which `write` puts from `q` on, moving `q`. As many bytes are left for the length as it took the last
 * time: messages of one field are alike, and a wrong guess only costs moving this one.
 */
function delimited(room: number, source: Source, write: readonly string[]): string[] {
  const guess = source.kept(1);
  return [
    "{",
    `const g = ${guess}, s = p + g;`,
    "let q = s;",
    ...write,
    "n = q - s;",
    `if (g === 1 && n < 128) { b[p] = n; p = q; if (p + ${room} > b.length) b = w.grow(p, ${room}); }`,
    `else { ${guess} = bytesOfLength(n); p = closeLength(w, s, q, g, ${room}); b = w.bytes; }`,
    "}",
  ];
}

function writeList(target: string, write: () => readonly string[], room: number): string[] {
  return [
    `x = ${target};`,
    "for (let i = 0; i < x.length; i += 1) {",
    `if (p + ${room} > b.length) b = w.grow(p, ${room});`,
    "v = x[i];",
    ...write(),
    "}",
    `if (p + ${room} > b.length) b = w.grow(p, ${room});`,
  ];
}

function writePacked(field: FieldPlan, target: string, room: number, source: Source): string[] {
  const scalar = field.value.t === "scalar" ? field.value.scalar : ScalarType.INT32;
  const item = writeScalar(scalar, field.label, room, "q");
  return [
    `x = ${target};`,
    "if (x.length > 0) {",
    ...writeTag(packedTagOf(field)),
    ...delimited(room, source, [
      `y = x.length * ${widestOf(scalar)} + ${room};`,
      "if (q + y > b.length) b = w.grow(q, y);",
      "for (let i = 0; i < x.length; i += 1) {",
      "v = x[i];",
      ...item,
      "}",
    ]),
    "}",
  ];
}

/** The longest that one packed value can be. */
function widestOf(scalar: ScalarType): number {
  const wireType = wireTypeOfScalar(scalar);
  if (wireType === 5) return 4;
  if (wireType === 1) return 8;
  switch (scalar) {
    case ScalarType.BOOL:
      return 1;
    case ScalarType.UINT32:
    case ScalarType.SINT32:
      return 5;
    default:
      return 10;
  }
}

function writeMap(
  field: FieldPlan,
  place: PlacePlan & { readonly t: "map" },
  target: string,
  room: number,
  source: Source,
): string[] {
  const { key } = place;
  const numeric = key !== ScalarType.STRING && key !== ScalarType.BOOL;
  const named = key === ScalarType.STRING ? "name" : `keyValue(name, ${key})`;
  const entry = source.kept(1);
  return [
    `x = ${target};`,
    `y = w.deterministic ? sortedKeys(x, ${numeric}) : Object.keys(x);`,
    "for (let i = 0; i < y.length; i += 1) {",
    `if (p + ${room} > b.length) b = w.grow(p, ${room});`,
    "const name = y[i];",
    ...writeTag(field.tag),
    `const ge = ${entry}, se = p + ge;`,
    "p = se;",
    ...writeTag(8 | wireTypeOfScalar(key)),
    `v = ${named};`,
    ...writeScalar(key, field.label, room),
    ...writeTag(16 | wireTypeOf(field.value)),
    "v = x[name];",
    ...writeValue(field.value, field.label, room, source),
    "n = p - se;",
    "if (ge === 1 && n < 128) b[se - 1] = n;",
    `else { ${entry} = bytesOfLength(n); p = closeLength(w, se, p, ge, ${room}); b = w.bytes; }`,
    "}",
    `if (p + ${room} > b.length) b = w.grow(p, ${room});`,
  ];
}
