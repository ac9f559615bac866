import {
  createRegistry,
  type DescFile,
  type DescService,
  type MessageInitShape,
  type Registry,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import type {
  ServerReflection,
  ServerReflectionRequest,
  ServerReflectionResponseSchema,
} from "@weft/contracts/grpc/reflection/v1";
import { StatusCode } from "@weft/wire";

/** The path of the same service before it was called v1; both speak the same bytes. */
export const reflectionV1AlphaPath = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]>;

interface Known {
  readonly services: readonly DescService[];
  readonly registry: Registry;
  /** By the name that imports use, such as `google/protobuf/any.proto`. */
  readonly files: ReadonlyMap<string, DescFile>;
}

/** gRPC's reflection service (grpc/doc/server-reflection.md) over the descriptors of what is served. */
export function createReflection(services: readonly DescService[]): ServiceImpl<typeof ServerReflection> {
  const files = closureOf(services.map((service) => service.file));
  const known: Known = {
    services,
    registry: createRegistry(...files),
    files: new Map([...files].map((file) => [file.proto.name, file])),
  };
  return {
    async *serverReflectionInfo(requests) {
      // A file is sent once a stream: clients keep what they got.
      const sent = new Set<string>();
      for await (const request of requests) {
        yield {
          validHost: request.host,
          originalRequest: request,
          messageResponse: answer(request, known, sent),
        };
      }
    },
  };
}

function answer(request: ServerReflectionRequest, known: Known, sent: Set<string>): Answer {
  const { registry, services } = known;
  const { messageRequest } = request;
  switch (messageRequest.case) {
    case "listServices":
      return {
        case: "listServicesResponse",
        value: { service: services.map((service) => ({ name: service.typeName })) },
      };
    case "fileByFilename":
      return withDependencies(known.files.get(messageRequest.value), sent, messageRequest.value);
    case "fileContainingSymbol":
      return withDependencies(fileOfSymbol(registry, messageRequest.value), sent, messageRequest.value);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = messageRequest.value;
      const message = registry.getMessage(containingType);
      const extension = message === undefined ? undefined : registry.getExtensionFor(message, extensionNumber);
      return withDependencies(extension?.file, sent, `extension ${extensionNumber} of ${containingType}`);
    }
    case "allExtensionNumbersOfType": {
      const name = messageRequest.value;
      if (registry.getMessage(name) === undefined) return notFound(name);
      const numbers = [...registry].flatMap((desc) =>
        desc.kind === "extension" && desc.extendee.typeName === name ? [desc.number] : [],
      );
      return {
        case: "allExtensionNumbersResponse",
        value: { baseTypeName: name, extensionNumber: numbers },
      };
    }
    case undefined:
      return {
        case: "errorResponse",
        value: { errorCode: StatusCode.invalidArgument, errorMessage: "the request asks for nothing" },
      };
  }
}

/** The file and all it needs that this stream has not got yet, dependencies first. The file itself is sent again if asked again. */
function withDependencies(file: DescFile | undefined, sent: Set<string>, asked: string): Answer {
  if (file === undefined) return notFound(asked);
  const files = [...closureOf([file])].filter((each) => each === file || !sent.has(each.name));
  for (const each of files) sent.add(each.name);
  return {
    case: "fileDescriptorResponse",
    value: { fileDescriptorProto: files.map((each) => toBinary(FileDescriptorProtoSchema, each.proto)) },
  };
}

function notFound(what: string): Answer {
  return {
    case: "errorResponse",
    value: { errorCode: StatusCode.notFound, errorMessage: `${JSON.stringify(what)} is not known here` },
  };
}

/** A symbol is a message, enum, service or extension, or a method, field, oneof or enum value of one. */
function fileOfSymbol(registry: Registry, symbol: string): DescFile | undefined {
  const desc = registry.get(symbol);
  if (desc !== undefined) return desc.file;
  const dot = symbol.lastIndexOf(".");
  if (dot < 0) return undefined;
  const parent = registry.get(symbol.slice(0, dot));
  const name = symbol.slice(dot + 1);
  switch (parent?.kind) {
    case "service":
      return parent.methods.some((method) => method.name === name) ? parent.file : undefined;
    case "message":
      return [...parent.fields, ...parent.oneofs].some((member) => member.name === name) ? parent.file : undefined;
    default:
      return enumValueFile(registry, symbol, name);
  }
}

/** Enum values are named in the scope around their enum. */
function enumValueFile(registry: Registry, symbol: string, name: string): DescFile | undefined {
  const scope = symbol.slice(0, -name.length - 1);
  for (const desc of registry) {
    if (desc.kind !== "enum" || !desc.values.some((value) => value.name === name)) continue;
    if ((desc.parent?.typeName ?? desc.file.proto.package) === scope) return desc.file;
  }
  return undefined;
}

/** Files and all that they import, each after what it imports. */
function closureOf(files: readonly DescFile[], found = new Set<DescFile>()): Set<DescFile> {
  for (const file of files) {
    if (found.has(file)) continue;
    closureOf(file.dependencies, found);
    found.add(file);
  }
  return found;
}
