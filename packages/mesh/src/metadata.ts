import { decodeBinaryHeader, encodeBinaryHeader } from "@connectrpc/connect";
import type { Metadata, MetadataEntry } from "@weft/wire";

/**
 * Connect's headers as metadata of the wire. A name that ends in `-bin` holds base64, several values divided by commas;
 * a value that is no base64 is left out, since there are no bytes that it could mean.
 */
export function metadataFromHeaders(headers: Headers): Metadata {
  const entries: MetadataEntry[] = [];
  headers.forEach((value, name) => {
    if (!name.endsWith("-bin")) {
      entries.push([name, value]);
      return;
    }
    for (const part of value.split(",")) {
      const bytes = bytesOfHeader(part.trim());
      if (bytes !== undefined) entries.push([name, bytes]);
    }
  });
  return entries;
}

/** Metadata of the wire as Connect's headers: bytes become base64 without padding, a repeated name one value divided by commas. */
export function headersFromMetadata(metadata: Metadata): Headers {
  const headers = new Headers();
  for (const [name, value] of metadata) {
    headers.append(name, typeof value === "string" ? value : encodeBinaryHeader(value));
  }
  return headers;
}

function bytesOfHeader(value: string): Uint8Array | undefined {
  try {
    return decodeBinaryHeader(value);
  } catch {
    // Not base64: see above.
    return undefined;
  }
}
