import { gunzipSync, gzipSync } from "node:zlib";

/** How messages may be encoded (gRPC over HTTP/2, "Message-Encoding"). */
export type Encoding = "identity" | "gzip";

/** What this side takes, as the value of `grpc-accept-encoding`. */
export const acceptedEncodings = "identity,gzip";

/** Shorter messages go as they are: compressing costs more than it saves. */
export const compressFromBytes = 1_024;

/** The flag before a message says whether it is compressed. */
export const MessageFlag = { plain: 0, compressed: 1 } as const;

/** The encoding of that name, if this side knows it. */
export function parseEncoding(name: string): Encoding | undefined {
  return name === "identity" || name === "gzip" ? name : undefined;
}

/** Whether a peer's `grpc-accept-encoding` holds an encoding. */
export function accepts(acceptEncoding: string, encoding: Encoding): boolean {
  return acceptEncoding.split(",").some((name) => name.trim() === encoding);
}

export function compress(message: Uint8Array): Uint8Array {
  return gzipSync(message);
}

/**
 * The message that was compressed, or why there is none. No more than `maxBytes` are ever made of it, whatever it would unfold to.
 * It is done at once and not in the thread pool, because messages keep their order and are bounded.
 */
export function decompress(
  message: Uint8Array,
  maxBytes: number,
): { readonly ok: true; readonly value: Uint8Array } | { readonly ok: false; readonly error: "too large" | "broken" } {
  try {
    const bytes = gunzipSync(message, { maxOutputLength: Math.max(1, maxBytes) });
    if (bytes.length > maxBytes) return { ok: false, error: "too large" };
    return { ok: true, value: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) };
  } catch (error) {
    const isTooLarge = error instanceof RangeError;
    return { ok: false, error: isTooLarge ? "too large" : "broken" };
  }
}
