import { clone, create, createFileRegistry, type DescFile, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  DescriptorProtoSchema,
  Edition,
  type EnumDescriptorProto,
  EnumDescriptorProtoSchema,
  FeatureSet_EnumType,
  FeatureSet_FieldPresence,
  FeatureSet_MessageEncoding,
  FeatureSet_RepeatedFieldEncoding,
  FeatureSet_Utf8Validation,
  FeatureSetSchema,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  FieldOptions_JSType,
  FieldOptionsSchema,
  FileDescriptorProtoSchema,
  file_google_protobuf_any,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
  OneofDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import * as fc from "fast-check";

/** The three languages that a schema may be written in. */
export type Syntax = "proto2" | "proto3" | "2023";

/** Files of well-known types, whose messages fields may have. */
const wellKnown: readonly DescFile[] = [
  file_google_protobuf_any,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
];
const wellKnownTypes = wellKnown.flatMap((file) => file.messages.map((message) => message.typeName));

const scalars = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 15, 16, 17, 18] as const;
const keyTypes = scalars.filter(
  (scalar) => scalar !== ScalarType.DOUBLE && scalar !== ScalarType.FLOAT && scalar !== ScalarType.BYTES,
);

/** What a random field is; what its language does not have of this is left out. */
interface FieldSpec {
  readonly no: number;
  readonly type:
    | { readonly t: "scalar"; readonly scalar: number }
    | { readonly t: "enum" | "message" | "known"; readonly at: number };
  readonly place: "singular" | "optional" | "required" | "list" | "map" | "oneof";
  readonly key: number;
  readonly packed: boolean | undefined;
  readonly longAsString: boolean;
  readonly checked: boolean | undefined;
  readonly implicit: boolean | undefined;
  readonly hasDefault: boolean;
}

const typeArbitrary: fc.Arbitrary<FieldSpec["type"]> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ t: fc.constant("scalar" as const), scalar: fc.constantFrom(...scalars) }) },
  { weight: 1, arbitrary: fc.record({ t: fc.constant("enum" as const), at: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ t: fc.constant("message" as const), at: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ t: fc.constant("known" as const), at: fc.nat() }) },
);

const fieldArbitrary: fc.Arbitrary<FieldSpec> = fc.record({
  no: fc.oneof(
    fc.integer({ min: 1, max: 20 }),
    fc.integer({ min: 1, max: 3000 }),
    fc.integer({ min: 1, max: 0x1fff_fffd }),
  ),
  type: typeArbitrary,
  place: fc.constantFrom("singular", "singular", "optional", "list", "list", "map", "oneof", "oneof", "required"),
  key: fc.constantFrom(...keyTypes),
  packed: fc.constantFrom(true, false, undefined),
  longAsString: fc.boolean(),
  checked: fc.constantFrom(true, false, undefined),
  implicit: fc.constantFrom(true, false, undefined),
  hasDefault: fc.boolean(),
});

interface SchemaSpec {
  readonly syntax: Syntax;
  readonly messages: readonly (readonly FieldSpec[])[];
  readonly enums: readonly boolean[];
  /** Whether a field of the root is delimited, so that protobuf-es takes the type. */
  readonly delimited: boolean;
}

/** Random types: one that reaches some others, in one of the languages. */
export const schemaArbitrary: fc.Arbitrary<DescMessage> = fc
  .record({
    syntax: fc.constantFrom<Syntax>("proto2", "proto3", "2023"),
    messages: fc.array(fc.uniqueArray(fieldArbitrary, { selector: (field) => field.no, maxLength: 9 }), {
      minLength: 1,
      maxLength: 4,
    }),
    enums: fc.array(fc.boolean(), { minLength: 1, maxLength: 2 }),
    delimited: fc.integer({ min: 0, max: 19 }).map((n) => n === 0),
  })
  .map(rootOf);

function rootOf(spec: SchemaSpec): DescMessage {
  const file = create(FileDescriptorProtoSchema, {
    name: "random.proto",
    package: "random",
    syntax: spec.syntax === "2023" ? "editions" : spec.syntax,
    ...(spec.syntax === "2023" ? { edition: Edition.EDITION_2023 } : {}),
    dependency: wellKnown.map((known) => known.proto.name),
    messageType: spec.messages.map((fields, index) => messageOf(spec, fields, index)),
    enumType: spec.enums.map((open, index) => enumOf(spec.syntax, open, index)),
  });
  const registry = createFileRegistry(file, (name) => wellKnown.find((known) => known.proto.name === name));
  const root = registry.getMessage("random.M0");
  if (root === undefined) throw new Error("the schema has no root");
  return root;
}

function enumOf(syntax: Syntax, open: boolean, index: number): EnumDescriptorProto {
  const numbers = syntax === "proto3" || open ? [0, 1, -5, 2_000_000] : [3, 0, 1, -2];
  return create(EnumDescriptorProtoSchema, {
    name: `E${index}`,
    value: numbers.map((number, at) => ({ name: `E${index}_V${at}`, number })),
    ...(syntax === "2023"
      ? { options: { features: { enumType: open ? FeatureSet_EnumType.OPEN : FeatureSet_EnumType.CLOSED } } }
      : {}),
  });
}

function messageOf(spec: SchemaSpec, specs: readonly FieldSpec[], index: number): DescriptorProto {
  const message = create(DescriptorProtoSchema, { name: `M${index}` });
  let inOneofs = 0;
  for (const [at, field] of specs.entries()) {
    const proto = fieldOf(spec, field, `f_${at}`);
    if (field.place === "map") addMap(message, field, proto, at);
    if (field.place === "oneof") proto.oneofIndex = inOneofs++ % 2;
    message.field.push(proto);
  }
  for (const name of ["o", "p"].slice(0, inOneofs))
    message.oneofDecl.push(create(OneofDescriptorProtoSchema, { name }));
  if (spec.delimited && index === 0) message.field.push(delimitedField(spec.syntax));
  return message;
}

function fieldOf(spec: SchemaSpec, field: FieldSpec, name: string): FieldDescriptorProto {
  const { syntax } = spec;
  const proto = create(FieldDescriptorProtoSchema, { name, number: field.no, jsonName: name.replace("_", "") });
  switch (field.type.t) {
    case "scalar":
      proto.type = field.type.scalar;
      break;
    case "enum":
      proto.type = FieldDescriptorProto_Type.ENUM;
      proto.typeName = `.random.E${field.type.at % spec.enums.length}`;
      break;
    case "message":
      proto.type = FieldDescriptorProto_Type.MESSAGE;
      proto.typeName = `.random.M${field.type.at % spec.messages.length}`;
      break;
    case "known":
      proto.type = FieldDescriptorProto_Type.MESSAGE;
      proto.typeName = `.${wellKnownTypes[field.type.at % wellKnownTypes.length]}`;
      break;
  }
  const repeated = field.place === "list" || field.place === "map";
  const required = field.place === "required" && syntax === "proto2";
  proto.label = repeated
    ? FieldDescriptorProto_Label.REPEATED
    : required
      ? FieldDescriptorProto_Label.REQUIRED
      : FieldDescriptorProto_Label.OPTIONAL;
  if (field.place === "optional" && syntax === "proto3") proto.proto3Optional = true;
  proto.options = optionsOf(syntax, field, canPack(proto));
  const mayDefault = !repeated && field.place !== "oneof" && syntax !== "proto3" && field.implicit !== true;
  if (field.hasDefault && mayDefault) setDefault(proto);
  return proto;
}

function canPack(proto: FieldDescriptorProto): boolean {
  const { STRING, BYTES, MESSAGE } = FieldDescriptorProto_Type;
  return proto.label === FieldDescriptorProto_Label.REPEATED && ![STRING, BYTES, MESSAGE].includes(proto.type);
}

function optionsOf(syntax: Syntax, field: FieldSpec, packable: boolean) {
  const options = create(FieldOptionsSchema);
  if (field.longAsString) options.jstype = FieldOptions_JSType.JS_STRING;
  if (syntax !== "2023") {
    if (packable && field.packed !== undefined) options.packed = field.packed;
    return options;
  }
  const features = create(FeatureSetSchema);
  if (packable && field.packed !== undefined) {
    const { PACKED, EXPANDED } = FeatureSet_RepeatedFieldEncoding;
    features.repeatedFieldEncoding = field.packed ? PACKED : EXPANDED;
  }
  if (field.checked !== undefined) {
    features.utf8Validation = field.checked ? FeatureSet_Utf8Validation.VERIFY : FeatureSet_Utf8Validation.NONE;
  }
  const singular = field.place !== "list" && field.place !== "map" && field.place !== "oneof";
  if (singular && field.place === "required") features.fieldPresence = FeatureSet_FieldPresence.LEGACY_REQUIRED;
  else if (singular && field.implicit === true) features.fieldPresence = FeatureSet_FieldPresence.IMPLICIT;
  options.features = features;
  return options;
}

function setDefault(proto: FieldDescriptorProto): void {
  const { BOOL, STRING, BYTES, ENUM, MESSAGE } = FieldDescriptorProto_Type;
  if (proto.type === MESSAGE) return;
  if (proto.type === BOOL) proto.defaultValue = "true";
  else if (proto.type === STRING) proto.defaultValue = 'a "default"';
  else if (proto.type === BYTES) proto.defaultValue = "ab\\001";
  else if (proto.type === ENUM) proto.defaultValue = `${proto.typeName.slice(".random.".length)}_V1`;
  else proto.defaultValue = "17";
}

/** Makes a field a map, whose entry is a type nested in its message. */
function addMap(message: DescriptorProto, field: FieldSpec, proto: FieldDescriptorProto, at: number): void {
  const value = clone(FieldDescriptorProtoSchema, proto);
  value.name = "value";
  value.number = 2;
  value.label = FieldDescriptorProto_Label.OPTIONAL;
  const key = create(FieldDescriptorProtoSchema, {
    name: "key",
    number: 1,
    label: FieldDescriptorProto_Label.OPTIONAL,
    type: field.key,
  });
  const name = `F${at}Entry`;
  message.nestedType.push(create(DescriptorProtoSchema, { name, field: [key, value], options: { mapEntry: true } }));
  proto.type = FieldDescriptorProto_Type.MESSAGE;
  proto.typeName = `.random.${message.name}.${name}`;
}

/** A field in the encoding of groups: one of this message itself. */
function delimitedField(syntax: Syntax): FieldDescriptorProto {
  const field = create(FieldDescriptorProtoSchema, {
    name: "m0",
    number: 0x1fff_fffe,
    jsonName: "m0",
    label: FieldDescriptorProto_Label.OPTIONAL,
    type: syntax === "2023" ? FieldDescriptorProto_Type.MESSAGE : FieldDescriptorProto_Type.GROUP,
    typeName: ".random.M0",
  });
  if (syntax === "2023")
    field.options = create(FieldOptionsSchema, { features: { messageEncoding: FeatureSet_MessageEncoding.DELIMITED } });
  return field;
}
