import { create, createFileRegistry, type DescMethodUnary, type Message, setExtension } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldOptionsSchema,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import { sensitive } from "@weft/contracts/weft/options/v1";

// No contract has a sensitive reply yet, so the tests make one.
const field = (name: string, number: number) => ({
  name,
  jsonName: name.replace(/_k/, "K"),
  number,
  type: FieldDescriptorProto_Type.STRING,
  label: FieldDescriptorProto_Label.OPTIONAL,
});
const options = create(FieldOptionsSchema, {});
setExtension(options, sensitive, true);

const file = create(FileDescriptorProtoSchema, {
  name: "test/secret.proto",
  package: "test",
  syntax: "proto3",
  messageType: [
    { name: "SecretRequest", field: [field("idempotency_key", 1)] },
    { name: "SecretReply", field: [{ ...field("card", 1), options }] },
  ],
  service: [
    {
      name: "SecretService",
      method: [{ name: "Tell", inputType: ".test.SecretRequest", outputType: ".test.SecretReply" }],
    },
  ],
});

/** A unary method whose reply has a field marked `sensitive`. */
export const secretMethod: DescMethodUnary = findMethod();

function findMethod(): DescMethodUnary {
  const method = createFileRegistry(file, () => undefined).getService("test.SecretService")?.methods[0];
  if (method?.methodKind !== "unary") throw new Error("fixture: no such method");
  return fromUnary(method);
}

function fromUnary(method: object): DescMethodUnary {
  return method as DescMethodUnary;
}

export function secretRequest(key: string): Message & { readonly idempotencyKey: string } {
  const message = create(secretMethod.input, { idempotencyKey: key });
  return Object.assign(message, { idempotencyKey: key });
}

export function secretReply(card: string): Message {
  return Object.assign(create(secretMethod.output, {}), { card });
}
