/**
 * gRPC metadata in the order of the wire: lower-case names, repeated names allowed.
 * A name that ends in `-bin` has bytes as its value (base64 on the wire), any other has ASCII text (gRPC over HTTP/2, "Custom-Metadata").
 * Names that belong to HTTP or to gRPC itself (`:path`, `te`, `content-type`, `content-length`, `connection`, `grpc-…`) are the transport's:
 * they never arrive here and are left out when sent, but for the two of retries (gRFC A6): `grpc-previous-rpc-attempts` and
 * `grpc-retry-pushback-ms`. Text values of a repeated name may arrive as one, joined by `, ` (same source).
 */
export type Metadata = readonly MetadataEntry[];

export type MetadataEntry = readonly [name: string, value: string | Uint8Array];

export const emptyMetadata: Metadata = [];

/** The first text value under `name`; `undefined` when there is none. */
export function textOf(metadata: Metadata, name: string): string | undefined {
  for (const [key, value] of metadata) if (key === name && typeof value === "string") return value;
  return undefined;
}

/** Size of a metadata block as RFC 9113 §6.5.2 counts it: each name and value, and 32 bytes an entry. */
export function metadataBytes(metadata: Metadata): number {
  let bytes = 0;
  for (const [name, value] of metadata) bytes += name.length + value.length + 32;
  return bytes;
}
