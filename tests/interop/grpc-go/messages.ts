import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/**
 * The messages of grpc.testing.TestService that the interop cases use, read and written field by field: the transport under test carries bytes, and
 * so do these tests (grpc/testing/messages.proto).
 */

/** `EchoStatus`: the status that a call is to end with. */
export interface EchoStatus {
  readonly code: number;
  readonly message: string;
}

/** `SimpleRequest`, and `StreamingOutputCallRequest` with its parameters. */
export interface TestRequest {
  readonly responseSize: number;
  readonly payloadBytes: number;
  readonly fillServerId: boolean;
  readonly status: EchoStatus | undefined;
  readonly parameters: readonly ResponseParameters[];
}

export interface ResponseParameters {
  readonly size: number;
  readonly intervalUs: number;
}

/** Numbers of the fields that the messages of one kind have in other places than those of another. */
export type RequestKind = "simple" | "streaming-output" | "streaming-input";

const fieldsOf = {
  simple: { responseSize: 2, payload: 3, status: 7, fillServerId: 9, parameters: -1 },
  "streaming-output": { responseSize: -1, payload: 3, status: 7, fillServerId: -1, parameters: 2 },
  "streaming-input": { responseSize: -1, payload: 1, status: -1, fillServerId: -1, parameters: -1 },
} as const;

export function readRequest(bytes: Uint8Array, kind: RequestKind): TestRequest {
  const fields = fieldsOf[kind];
  const request = {
    responseSize: 0,
    payloadBytes: 0,
    fillServerId: false,
    status: undefined as EchoStatus | undefined,
    parameters: [] as ResponseParameters[],
  };
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === fields.responseSize && wireType === WireType.Varint) request.responseSize = reader.int32();
    else if (field === fields.fillServerId && wireType === WireType.Varint) request.fillServerId = reader.bool();
    else if (field === fields.payload) request.payloadBytes = payloadBytesOf(reader.bytes());
    else if (field === fields.status) request.status = readStatus(reader.bytes());
    else if (field === fields.parameters) request.parameters.push(readParameters(reader.bytes()));
    else reader.skip(wireType);
  }
  return request;
}

/** Length of `Payload.body`. */
function payloadBytesOf(payload: Uint8Array): number {
  const reader = new BinaryReader(payload);
  let length = 0;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 2) length = reader.bytes().length;
    else reader.skip(wireType);
  }
  return length;
}

function readStatus(bytes: Uint8Array): EchoStatus {
  const reader = new BinaryReader(bytes);
  let code = 0;
  let message = "";
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) code = reader.int32();
    else if (field === 2) message = reader.string();
    else reader.skip(wireType);
  }
  return { code, message };
}

function readParameters(bytes: Uint8Array): ResponseParameters {
  const reader = new BinaryReader(bytes);
  let size = 0;
  let intervalUs = 0;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) size = reader.int32();
    else if (field === 2) intervalUs = reader.int32();
    else reader.skip(wireType);
  }
  return { size, intervalUs };
}

/** `SimpleRequest`, `StreamingOutputCallRequest` or `StreamingInputCallRequest`. */
export function writeRequest(kind: RequestKind, request: Partial<TestRequest>): Uint8Array {
  const fields = fieldsOf[kind];
  const writer = new BinaryWriter();
  if (fields.responseSize > 0) writer.tag(fields.responseSize, WireType.Varint).int32(request.responseSize ?? 0);
  for (const { size, intervalUs } of request.parameters ?? []) {
    writer.tag(fields.parameters, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.Varint).int32(size).tag(2, WireType.Varint).int32(intervalUs).join();
  }
  writePayload(writer, fields.payload, request.payloadBytes ?? 0);
  if (request.status !== undefined) {
    writer.tag(fields.status, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.Varint).int32(request.status.code);
    writer.tag(2, WireType.LengthDelimited).string(request.status.message).join();
  }
  return writer.finish();
}

/** `SimpleResponse` or `StreamingOutputCallResponse`: a payload of zeros. */
export function writeResponse(payloadBytes: number, serverId = ""): Uint8Array {
  const writer = new BinaryWriter();
  writePayload(writer, 1, payloadBytes);
  if (serverId !== "") writer.tag(4, WireType.LengthDelimited).string(serverId);
  return writer.finish();
}

/** Length of the payload of a `SimpleResponse` or `StreamingOutputCallResponse`. */
export function responseBytesOf(bytes: Uint8Array): number {
  const reader = new BinaryReader(bytes);
  let length = 0;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1 && wireType === WireType.LengthDelimited) length = payloadBytesOf(reader.bytes());
    else reader.skip(wireType);
  }
  return length;
}

/** `StreamingInputCallResponse`. */
export function writeAggregate(size: number): Uint8Array {
  return new BinaryWriter().tag(1, WireType.Varint).int32(size).finish();
}

export function aggregateOf(bytes: Uint8Array): number {
  const reader = new BinaryReader(bytes);
  let size = 0;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) size = reader.int32();
    else reader.skip(wireType);
  }
  return size;
}

function writePayload(writer: BinaryWriter, field: number, bytes: number): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  writer.tag(2, WireType.LengthDelimited).bytes(new Uint8Array(bytes)).join();
}
