import { create, toBinary } from "@bufbuild/protobuf";
import { fileDesc, type GenService, serviceDesc } from "@bufbuild/protobuf/codegenv2";
import {
  FileDescriptorProtoSchema,
  file_google_protobuf_wrappers,
  type MethodDescriptorProtoSchema,
  type StringValueSchema,
} from "@bufbuild/protobuf/wkt";

type Kind<K extends string> = { methodKind: K; input: typeof StringValueSchema; output: typeof StringValueSchema };

const text = ".google.protobuf.StringValue";

function method(name: string, clientStreaming: boolean, serverStreaming: boolean) {
  return { name, inputType: text, outputType: text, clientStreaming, serverStreaming } satisfies Parameters<
    typeof create<typeof MethodDescriptorProtoSchema>
  >[1];
}

const file = create(FileDescriptorProtoSchema, {
  name: "weft/test/v1/kinds.proto",
  package: "weft.test.v1",
  syntax: "proto3",
  dependency: ["google/protobuf/wrappers.proto"],
  service: [
    {
      name: "KindsService",
      method: [
        method("One", false, false),
        method("Many", false, true),
        method("Collect", true, false),
        method("Talk", true, true),
      ],
    },
  ],
});

const encoded = Buffer.from(toBinary(FileDescriptorProtoSchema, file)).toString("base64");

/** A service with one method of each kind, text in and text out. */
export const KindsService: GenService<{
  one: Kind<"unary">;
  many: Kind<"server_streaming">;
  collect: Kind<"client_streaming">;
  talk: Kind<"bidi_streaming">;
}> = serviceDesc(fileDesc(encoded, [file_google_protobuf_wrappers]), 0);
