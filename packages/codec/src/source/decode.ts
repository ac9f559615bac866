import { ScalarType } from "@bufbuild/protobuf";
import type { Decode } from "../message-type.js";
import { type FieldPlan, isPackable, type MessagePlan, type PlacePlan, packedTagOf, type ValuePlan } from "../plan.js";
import { nameOfScalar, zeroOfScalar } from "../scalars.js";
import { quote, Source } from "./source.js";

/**
 * A decoder as one function: a loop over tags with a case for each field. Within it `b` are the bytes, `p` the place, `e` the end of this message,
 * `d` how deep messages may still nest, and `v` the value just read.
 */
export function sourceDecoder(plan: MessagePlan): Decode {
  const source = new Source();
  const tags = source.constant(new Map(plan.fields.map((field) => [field.no, field.tag])));
  source.add(
    "if (d <= 0) tooDeep();",
    "let t, v, n, q, x;",
    "fields: while (p < e) {",
    "t = b[p++];",
    "if (!(t < 128)) {",
    "if (b[p] < 128) t = (t & 127) | (b[p++] << 7);",
    "else { t = readTag(b, p - 1); p = reader.at; }",
    "}",
    "for (;;) switch (t) {",
  );
  for (const field of plan.fields) {
    source.add(`case ${field.tag}: {`, ...readField(field, source), "continue fields; }");
    if (field.place.t === "list" && isPackable(field.value)) {
      source.add(`case ${packedTagOf(field)}: {`, ...readPacked(field, source), "continue fields; }");
    }
  }
  source.add(
    "default:",
    "if (t < 8 || (t & 7) > 5) illegalTag(t);",
    // A field of another wire type than its own is read as its own, as protobuf-es does.
    `if ((v = ${tags}.get(t >>> 3)) !== undefined) { t = v; continue; }`,
    "p = keepUnknown(m, b, t, p, d - 1);",
    "continue fields;",
    "}",
    "}",
    "return p;",
  );
  return source.compile<Decode>("decode(m, b, p, e, d)");
}

function readField(field: FieldPlan, source: Source): string[] {
  const target = `m[${quote(field.name)}]`;
  const { place, value } = field;
  switch (place.t) {
    case "list":
      return [...readValue(value, undefined, source), `${target}.push(v);`];
    case "map":
      return readEntry(field, place, source);
    case "oneof": {
      const member = `m[${quote(place.member)}]`;
      const before = `${member}.case === ${quote(field.name)} ? ${member}.value : undefined`;
      const set = `${member} = { case: ${quote(field.name)}, value: v };`;
      return [...readValue(value, before, source), ...ifKnown(field, set, source)];
    }
    case "implicit":
    case "explicit":
      return [...readValue(value, target, source), ...ifKnown(field, `${target} = v;`, source)];
  }
}

/** Sets a value, unless it is one that its closed enum does not have: such a value is an unknown field. */
function ifKnown({ no, value }: FieldPlan, set: string, source: Source): string[] {
  if (value.t !== "enum" || value.closed === undefined) return [set];
  return [`if (${source.constant(value.closed)}.has(v)) ${set}`, `else keepEnumValue(m, ${no}, v);`];
}

/** Reads a length into `n`. */
const readLength = [
  "n = b[p++];",
  "if (!(n < 128)) { n = readLength(b, p - 1); p = reader.at; }",
  "else if (p + n > reader.end) prematureEnd();",
];

/** Reads a value into `v`; a message into what `before` gives, if it gives one. */
function readValue(value: ValuePlan, before: string | undefined, source: Source): string[] {
  if (value.t === "message") {
    const type = source.constant(value.type);
    const isLocal = value.as === "message";
    const made = isLocal ? "v" : `toMessage(${type}, ${quote(value.as)}, v)`;
    const fresh =
      before === undefined
        ? [`x = ${type}.create();`]
        : [`v = ${before};`, `x = v === undefined ? ${type}.create() : ${made};`];
    return [
      ...readLength,
      ...fresh,
      // `x` is this call's own; the message it is read into may be of this very type.
      `p = ${type}.decode(x, b, p, p + n, d - 1);`,
      isLocal ? "v = x;" : `v = toLocal(${quote(value.as)}, x);`,
    ];
  }
  const scalar = value.t === "enum" ? ScalarType.INT32 : value.scalar;
  switch (scalar) {
    case ScalarType.INT32:
    case ScalarType.UINT32:
      return ["v = b[p++];", `if (!(v < 128)) { v = read${nameOfScalar(scalar)}(b, p - 1); p = reader.at; }`];
    case ScalarType.BOOL:
      return ["v = b[p++];", "if (v < 2) v = v === 1;", "else { v = readBool(b, p - 1); p = reader.at; }"];
    default: {
      const unchecked = scalar === ScalarType.STRING && value.t === "scalar" && !value.checked;
      const read = [`v = read${nameOfScalar(scalar)}${unchecked ? "Unchecked" : ""}(b, p);`, "p = reader.at;"];
      return value.t === "scalar" && value.longAsString ? [...read, "v = String(v);"] : read;
    }
  }
}

function readPacked(field: FieldPlan, source: Source): string[] {
  return [
    ...readLength,
    "q = p + n;",
    `x = m[${quote(field.name)}];`,
    "while (p < q) {",
    ...readValue(field.value, undefined, source),
    "x.push(v);",
    "}",
  ];
}

function readEntry(field: FieldPlan, place: PlacePlan & { readonly t: "map" }, source: Source): string[] {
  const key: ValuePlan = { t: "scalar", scalar: place.key, longAsString: false, checked: place.checked };
  const { value } = field;
  return [
    ...readLength,
    "q = p + n;",
    `let key = ${literal(zeroOfScalar(place.key), source)}, entry;`,
    "while (p < q) {",
    "t = b[p++];",
    "if (!(t < 128) || t < 8 || (t & 7) > 5) { t = readTag(b, p - 1); p = reader.at; }",
    "switch (t >>> 3) {",
    "case 1: {",
    ...readValue(key, undefined, source),
    "key = v; break; }",
    "case 2: {",
    ...readValue(value, undefined, source),
    "entry = v; break; }",
    "}",
    "}",
    `if (entry === undefined) entry = ${zeroEntry(value, place.zero, source)};`,
    `setEntry(m[${quote(field.name)}], ${place.key === ScalarType.STRING ? "key" : "String(key)"}, entry);`,
  ];
}

function zeroEntry(value: ValuePlan, zeroEnum: unknown, source: Source): string {
  switch (value.t) {
    case "message":
      return `toLocal(${quote(value.as)}, ${source.constant(value.type)}.create())`;
    case "enum":
      return String(zeroEnum);
    case "scalar":
      return literal(zeroOfScalar(value.scalar), source);
  }
}

function literal(value: unknown, source: Source): string {
  return typeof value === "bigint" ? `${value}n` : source.constant(value);
}
