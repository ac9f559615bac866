// The program that protobuf's conformance runner asks: reads requests on stdin, each behind its length, and answers on stdout.
// Binary goes through @weft/codec; JSON, for which the runner asks too, through protobuf-es. Text format is skipped.
// Its argument is the file of a FileDescriptorSet with the messages of the suite.
import { readFileSync, readSync, writeSync } from "node:fs";
import {
  createFileRegistry,
  type DescMessage,
  type FileRegistry,
  fromBinary,
  fromJsonString,
  type Message,
  toJsonString,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { codecOf } from "@weft/codec";

/** The parts of conformance.ConformanceRequest that matter here. */
interface Request {
  readonly payload:
    | { readonly case: "protobufPayload"; readonly value: Uint8Array }
    | { readonly case: "jsonPayload"; readonly value: string }
    | { readonly case: "jspbPayload" | "textPayload" | undefined };
  readonly requestedOutputFormat: number;
  readonly messageType: string;
  readonly testCategory: number;
}

type Result =
  | { readonly case: "protobufPayload"; readonly value: Uint8Array }
  | {
      readonly case: "parseError" | "serializeError" | "runtimeError" | "jsonPayload" | "skipped";
      readonly value: string;
    };

const outputProtobuf = 1;
const outputJson = 2;
const ignoringUnknownJson = 3;

function answer(request: Request, registry: FileRegistry): Result {
  if (request.messageType === "conformance.FailureSet") return { case: "protobufPayload", value: new Uint8Array() };
  const type = messageType(registry, request.messageType);
  const read = readPayload(type, request, registry);
  if ("case" in read) return read;
  try {
    if (request.requestedOutputFormat === outputProtobuf) {
      return { case: "protobufPayload", value: codecOf(type).encode(read.message) };
    }
    if (request.requestedOutputFormat !== outputJson) return { case: "skipped", value: "text format" };
    return { case: "jsonPayload", value: toJsonString(type, read.message, { registry }) };
  } catch (error) {
    return { case: "serializeError", value: String(error) };
  }
}

function readPayload(
  type: DescMessage,
  { payload, testCategory }: Request,
  registry: FileRegistry,
): Result | { readonly message: Message } {
  if (payload.case === "protobufPayload") {
    const read = codecOf(type).decode(payload.value);
    return read.ok ? { message: read.value } : { case: "parseError", value: read.error };
  }
  if (payload.case !== "jsonPayload") return { case: "skipped", value: "text format" };
  try {
    const ignoreUnknownFields = testCategory === ignoringUnknownJson;
    return { message: fromJsonString(type, payload.value, { registry, ignoreUnknownFields }) };
  } catch (error) {
    return { case: "parseError", value: String(error) };
  }
}

function messageType(registry: FileRegistry, name: string): DescMessage {
  const type = registry.getMessage(name);
  if (type === undefined) throw new Error(`no message type ${name}`);
  return type;
}

/** Fills the bytes from stdin; false at its end. */
function fill(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; ) {
    const count = readSync(0, bytes, at, bytes.length - at, null);
    if (count === 0) return false;
    at += count;
  }
  return true;
}

function write(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
}

/** A message of the type that was asked for has its fields. */
function fromMessage(message: unknown): Request {
  return message as Request;
}

function serve(registry: FileRegistry): void {
  const requests = codecOf(messageType(registry, "conformance.ConformanceRequest"));
  const responses = messageType(registry, "conformance.ConformanceResponse");
  const head = Buffer.alloc(4);
  while (fill(head)) {
    const bytes = new Uint8Array(head.readUInt32LE());
    if (!fill(bytes)) return;
    const request = requests.decode(bytes);
    if (!request.ok) throw new Error(request.error);
    const response = { $typeName: responses.typeName, result: answer(fromMessage(request.value), registry) };
    const reply = codecOf(responses).encode(response);
    head.writeUInt32LE(reply.length);
    write(head);
    write(reply);
  }
}

serve(createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(process.argv[2] ?? ""))));
