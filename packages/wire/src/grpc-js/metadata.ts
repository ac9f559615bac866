import { Metadata as GrpcMetadata } from "@grpc/grpc-js";
import { type Parsed, parsed, refused } from "@weft/foundation";
import type { Metadata, MetadataEntry } from "../metadata.js";
import { isTransportName } from "../transport-names.js";

/**
 * Our metadata as grpc-js wants it. Text of a repeated name is joined, because Node refuses a list under names such as `authorization`
 * by throwing, on which grpc-js gives up the connection.
 */
export function toGrpcMetadata(metadata: Metadata): Parsed<GrpcMetadata> {
  const result = new GrpcMetadata();
  for (const [name, value] of metadata) {
    if (isTransportName(name)) continue;
    try {
      if (typeof value === "string") {
        const before = result.get(name)[0];
        result.set(name, typeof before === "string" ? `${before}, ${value}` : value);
      } else {
        result.add(name, asBuffer(value));
      }
    } catch (error) {
      return refused(`metadata ${JSON.stringify(name)}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return parsed(result);
}

/** What arrived, without the transport's own names. */
export function fromGrpcMetadata(metadata: GrpcMetadata): Metadata {
  const entries: MetadataEntry[] = [];
  for (const [name, values] of Object.entries(metadata.toJSON())) {
    if (isTransportName(name)) continue;
    for (const value of values) entries.push([name, typeof value === "string" ? value : asBytes(value)]);
  }
  return entries;
}

/** The same bytes as a Buffer, without a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The same bytes without Buffer's own methods (its `slice` does not copy), without a copy. */
export function asBytes(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
