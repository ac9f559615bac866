/**
 * gRPC metadata in the order of the wire: lower-case names, repeated names allowed.
 * A name that ends in `-bin` has bytes as its value (base64 on the wire), any other has ASCII text (gRPC over HTTP/2, "Custom-Metadata").
 * Names that start with `grpc-` belong to the transport and never appear here.
 */
export type Metadata = readonly MetadataEntry[];

export type MetadataEntry = readonly [name: string, value: string | Uint8Array];

export const emptyMetadata: Metadata = [];

/** The first text value under `name`; `undefined` when there is none. */
export function textOf(metadata: Metadata, name: string): string | undefined {
  for (const [key, value] of metadata) if (key === name && typeof value === "string") return value;
  return undefined;
}
