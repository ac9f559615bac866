import { Metadata as GrpcMetadata, type StatusObject } from "@grpc/grpc-js";
import type { Parsed } from "@weft/foundation";
import { emptyMetadata, type Metadata } from "../metadata.js";
import { type Status, StatusCode } from "../status.js";
import { asBuffer, asBytes, toGrpcMetadata } from "./metadata.js";

/** Trailer that carries a serialized `google.rpc.Status`. */
const detailsName = "grpc-status-details-bin";

/** The serialized `google.rpc.Status` among trailers, if there is one. */
export function detailsOf(trailers: GrpcMetadata): Uint8Array | undefined {
  const value = trailers.get(detailsName)[0];
  return value === undefined || typeof value === "string" ? undefined : asBytes(value);
}

/** A status and its trailers as grpc-js sends them; trailers that cannot be sent turn it into INTERNAL. */
export function toGrpcStatus(status: Status, trailers: Metadata = emptyMetadata): StatusObject {
  const metadata: Parsed<GrpcMetadata> = toGrpcMetadata(trailers);
  if (!metadata.ok) return { code: StatusCode.internal, details: metadata.error, metadata: new GrpcMetadata() };
  if (status.details !== undefined) metadata.value.set(detailsName, asBuffer(status.details));
  return { code: status.code, details: wellFormed(status.message), metadata: metadata.value };
}

/** Half a surrogate pair makes the percent-encoder of grpc-js throw. */
function wellFormed(message: string): string {
  return message.replaceAll(/\p{Surrogate}/gu, "\ufffd");
}
