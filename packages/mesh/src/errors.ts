import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Any, AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { codecOf } from "@weft/codec";
import { StatusSchema } from "@weft/contracts/google/rpc";
import { DeadlineExceeded } from "@weft/foundation";
import { emptyMetadata, type Metadata, type Status, StatusCode } from "@weft/wire";
import { headersFromMetadata, metadataFromHeaders } from "./metadata.js";

/** What a call that failed says to its peer. */
export interface Failure {
  readonly status: Status;
  readonly trailers: Metadata;
}

/** The text that a peer gets in place of what went wrong inside. */
const internalMessage = "internal error";

/**
 * What a handler threw, as what its caller gets. A ConnectError goes out as it is, with its details and metadata;
 * a deadline that passed is DEADLINE_EXCEEDED; all else is INTERNAL without a word of what it was.
 */
export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof ConnectError) {
    return { status: statusOfError(thrown), trailers: metadataFromHeaders(thrown.metadata) };
  }
  const status =
    thrown instanceof DeadlineExceeded
      ? { code: StatusCode.deadlineExceeded, message: thrown.message }
      : { code: StatusCode.internal, message: internalMessage };
  return { status, trailers: emptyMetadata };
}

/** Whether what a handler threw is a fault of this process rather than an answer: the log should tell of it. */
export function isFault(thrown: unknown): boolean {
  if (!(thrown instanceof ConnectError)) return !(thrown instanceof DeadlineExceeded);
  return thrown.code === Code.Internal || thrown.code === Code.Unknown || thrown.code === Code.DataLoss;
}

/** A Connect error as a status of the wire, its details packed into a `google.rpc.Status`. Its cause stays here. */
export function statusOfError(error: ConnectError): Status {
  const status = { code: statusCodeOf(error.code), message: error.rawMessage };
  if (error.details.length === 0) return status;
  const message = create(StatusSchema, { ...status, details: error.details.map(packDetail) });
  return { ...status, details: toBinary(StatusSchema, message) };
}

/**
 * A status that is not OK as a Connect error, with the details of its `google.rpc.Status` and the trailers as metadata.
 * Details that cannot be read are left out: the code and the message stand by themselves.
 */
export function errorOfStatus(status: Status, trailers: Metadata = emptyMetadata, cause?: unknown): ConnectError {
  const error = new ConnectError(status.message, connectCodeOf(status.code), headersFromMetadata(trailers));
  if (cause !== undefined) error.cause = cause;
  if (status.details === undefined) return error;
  const details = codecOf(StatusSchema).decode(status.details);
  if (details.ok)
    error.details = details.value.details.map((packed) => ({ type: typeNameOf(packed), value: packed.value }));
  return error;
}

/** Connect's codes are gRPC's numbers. */
function statusCodeOf(code: Code): StatusCode {
  for (const known of Object.values(StatusCode)) if (known === Number(code)) return known;
  return StatusCode.unknown;
}

/** OK is no error: who asks for one anyway met a peer that broke the protocol, which is INTERNAL. */
function connectCodeOf(code: StatusCode): Code {
  if (code === StatusCode.ok) return Code.Internal;
  for (const known of Object.values(Code)) if (known === Number(code)) return known;
  return Code.Unknown;
}

function packDetail(detail: ConnectError["details"][number]): Any {
  if ("desc" in detail) return pack(detail.desc, detail.value);
  return create(AnySchema, { typeUrl: `type.googleapis.com/${detail.type}`, value: detail.value });
}

function pack<Desc extends DescMessage>(schema: Desc, value: MessageInitShape<Desc>): Any {
  return anyPack(schema, create(schema, value));
}

function typeNameOf({ typeUrl }: Any): string {
  return typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
}
