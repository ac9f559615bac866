import { create, createFileRegistry, type DescMessage } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";

/** proto2: unchecked text, a closed enum, itself; and, under Extended, an extension range and a map. */
const file = create(FileDescriptorProtoSchema, {
  name: "example.proto",
  package: "example",
  syntax: "proto2",
  enumType: [
    {
      name: "Choice",
      value: [
        { name: "NONE", number: 0 },
        { name: "ONE", number: 1 },
      ],
    },
  ],
  messageType: [
    {
      name: "Example",
      field: [
        { name: "text", number: 1, label: Label.OPTIONAL, type: Type.STRING },
        { name: "choice", number: 2, label: Label.OPTIONAL, type: Type.ENUM, typeName: ".example.Choice" },
        { name: "inner", number: 3, label: Label.OPTIONAL, type: Type.MESSAGE, typeName: ".example.Example" },
        { name: "left", number: 4, label: Label.OPTIONAL, type: Type.INT32, oneofIndex: 0 },
        {
          name: "right",
          number: 5,
          label: Label.OPTIONAL,
          type: Type.ENUM,
          typeName: ".example.Choice",
          oneofIndex: 0,
        },
      ],
      oneofDecl: [{ name: "either" }],
    },
    {
      name: "Extended",
      field: [
        { name: "map", number: 1, label: Label.REPEATED, type: Type.MESSAGE, typeName: ".example.Extended.MapEntry" },
      ],
      nestedType: [
        {
          name: "MapEntry",
          options: { mapEntry: true },
          field: [
            { name: "key", number: 1, label: Label.OPTIONAL, type: Type.STRING },
            { name: "value", number: 2, label: Label.OPTIONAL, type: Type.INT32 },
          ],
        },
      ],
      extensionRange: [{ start: 100, end: 200 }],
    },
  ],
});

function typeNamed(name: string): DescMessage {
  const type = createFileRegistry(file, () => undefined).getMessage(name);
  if (type === undefined) throw new Error(`no type ${name}`);
  return type;
}

export const examples = {
  proto2: typeNamed("example.Example"),
  extended: typeNamed("example.Extended"),
  /** Bytes that no type can be read from. */
  wrongBytes: new Map([
    ["a tag of 0", Uint8Array.of(0, 1)],
    ["a field number of 0", Uint8Array.of(2, 1, 1)],
    ["a wire type of 6", Uint8Array.of(0x7e, 1)],
    ["a wire type of 7", Uint8Array.of(0x7f, 1)],
    ["a tag of more than 32 bits", Uint8Array.of(0xf8, 0xff, 0xff, 0xff, 0x1f, 1)],
    ["a tag in more than 5 bytes", Uint8Array.of(0xf8, 0x80, 0x80, 0x80, 0x80, 0x00, 1)],
    ["a tag without an end", Uint8Array.of(0xf8, 0xff)],
    ["a varint without an end", Uint8Array.of(0x78, 0xff, 0xff)],
    ["a known field's varint of 11 bytes", Uint8Array.of(0x0a, ...Array(10).fill(0x80), 0)],
    ["a length beyond the end", Uint8Array.of(0x0a, 0x7f, 0x61)],
    ["a length of 4 GiB", Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x61)],
    ["an unknown field's length beyond the end", Uint8Array.of(0x7a, 0x7f, 0x61)],
    ["an unknown field of 4 bytes that has 3", Uint8Array.of(0x7d, 1, 2, 3)],
    ["an unknown field of 8 bytes that has 7", Uint8Array.of(0x79, 1, 2, 3, 4, 5, 6, 7)],
    ["a group without an end", Uint8Array.of(0x7b, 0x08, 1)],
    ["a group's end without a group", Uint8Array.of(0x7c)],
    ["a group that is ended as another", Uint8Array.of(0x7b, 0x74)],
    ["a group within a group that is ended as the outer one", Uint8Array.of(0x7b, 0x73, 0x7c, 0x74)],
  ]),
};
