import { create, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence, isWrapperDesc } from "@bufbuild/protobuf/wkt";
import type { MessageType } from "./message-type.js";
import { is64Bit } from "./scalars.js";

/** How one value is written, wherever it stands. */
export type ValuePlan =
  | { readonly t: "scalar"; readonly scalar: ScalarType; readonly longAsString: boolean; readonly checked: boolean }
  /** `closed` holds the values that a closed enum has. */
  | { readonly t: "enum"; readonly closed: ReadonlySet<number> | undefined }
  | { readonly t: "message"; readonly type: MessageType; readonly as: LocalForm };

/** How protobuf-es keeps a message: as it is, as the value that a wrapper wraps, or as JSON. */
export type LocalForm = "message" | "wrapper" | "json";

/** Where a field's value is kept in the message, and when it is written. */
export type PlacePlan =
  /** Written unless it is `zero`. */
  | { readonly t: "implicit"; readonly zero: unknown }
  /** Written when set; `inherited` when the prototype has a default under its name. */
  | { readonly t: "explicit"; readonly inherited: boolean; readonly required: boolean }
  | { readonly t: "oneof"; readonly member: string }
  | { readonly t: "list"; readonly packed: boolean }
  | { readonly t: "map"; readonly key: ScalarType; readonly checked: boolean; readonly zero: unknown };

export interface FieldPlan {
  readonly no: number;
  readonly name: string;
  /** For errors: `shop.orders.v1.Order.total`. */
  readonly label: string;
  /** The tag of one value; a packed list has {@link packedTagOf} beside it. */
  readonly tag: number;
  readonly value: ValuePlan;
  readonly place: PlacePlan;
}

export interface MessagePlan {
  readonly desc: DescMessage;
  readonly typeName: string;
  /** In the order of their numbers, as they are written. */
  readonly fields: readonly FieldPlan[];
  /** What a message without values has, in protobuf-es's order of properties. */
  readonly zero: Readonly<Record<string, unknown>>;
  /** Names of its oneofs. */
  readonly oneofs: ReadonlySet<string>;
  /** What holds the defaults; that of any object when there are none. */
  readonly prototype: object;
}

/** All there is to know of a type before its functions are made. `link` gives the types of its fields. */
export function planOf(desc: DescMessage, link: (desc: DescMessage) => MessageType): MessagePlan {
  const zero: Record<string, unknown> = { ...create(desc) };
  const prototype: object = Object.getPrototypeOf(create(desc));
  return {
    desc,
    typeName: desc.typeName,
    fields: [...desc.fields].sort((a, b) => a.number - b.number).map((field) => fieldPlan(field, prototype, link)),
    zero,
    oneofs: new Set(desc.oneofs.map((oneof) => oneof.localName)),
    prototype,
  };
}

function fieldPlan(field: DescField, prototype: object, link: (desc: DescMessage) => MessageType): FieldPlan {
  const value = valuePlan(field, link);
  return {
    no: field.number,
    name: field.localName,
    label: `${field.parent.typeName}.${field.name}`,
    tag: ((field.number << 3) | (field.fieldKind === "map" ? 2 : wireTypeOf(value))) >>> 0,
    value,
    place: placePlan(field, prototype),
  };
}

function valuePlan(field: DescField, link: (desc: DescMessage) => MessageType): ValuePlan {
  if (field.message !== undefined) {
    return { t: "message", type: link(field.message), as: localForm(field, field.message) };
  }
  if (field.enum !== undefined) {
    const isClosed = !field.enum.open && field.fieldKind === "enum";
    return { t: "enum", closed: isClosed ? new Set(field.enum.values.map((value) => value.number)) : undefined };
  }
  const scalar = field.scalar ?? ScalarType.INT32;
  // `jstype` says nothing of numbers that fit in a number.
  const longAsString = "longAsString" in field && field.longAsString && is64Bit(scalar);
  return { t: "scalar", scalar, longAsString, checked: field.utf8Validation };
}

function localForm(field: DescField, message: DescMessage): LocalForm {
  if (field.fieldKind === "message" && field.oneof === undefined && isWrapperDesc(message)) return "wrapper";
  const isStruct = message.typeName === "google.protobuf.Struct" && field.parent.typeName !== "google.protobuf.Value";
  return isStruct ? "json" : "message";
}

function placePlan(field: DescField, prototype: object): PlacePlan {
  if (field.fieldKind === "list") return { t: "list", packed: field.packed };
  if (field.fieldKind === "map") {
    return { t: "map", key: field.mapKey, checked: field.utf8Validation, zero: field.enum?.values[0]?.number };
  }
  if (field.oneof !== undefined) return { t: "oneof", member: field.oneof.localName };
  if (field.presence !== FeatureSet_FieldPresence.IMPLICIT) {
    const required = field.presence === FeatureSet_FieldPresence.LEGACY_REQUIRED;
    return { t: "explicit", inherited: prototype !== Object.prototype && field.localName in prototype, required };
  }
  return { t: "implicit", zero: field.enum?.values[0]?.number };
}

/** The tag of a packed list. */
export function packedTagOf(field: FieldPlan): number {
  return ((field.no << 3) | 2) >>> 0;
}

/** Whether values of this kind can be packed, and so are read packed even where they are written one by one. */
export function isPackable(value: ValuePlan): boolean {
  return value.t === "enum" || (value.t === "scalar" && wireTypeOf(value) !== 2);
}

export function wireTypeOf(value: ValuePlan): 0 | 1 | 2 | 5 {
  if (value.t === "message") return 2;
  if (value.t === "enum") return 0;
  return wireTypeOfScalar(value.scalar);
}

export function wireTypeOfScalar(scalar: ScalarType): 0 | 1 | 2 | 5 {
  switch (scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return 2;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return 1;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return 5;
    default:
      return 0;
  }
}
