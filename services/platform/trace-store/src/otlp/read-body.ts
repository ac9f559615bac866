import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { type Parsed, parsed, refused } from "@weft/foundation";

/** How large a request may be, in bytes. */
export interface BodyLimits {
  readonly maxBytes: number;
  /** After decompression: a small body can unpack to a large one. */
  readonly maxDecodedBytes: number;
}

export interface BodyRefused {
  readonly status: number;
  readonly message: string;
}

const unzip = promisify(gunzip);

/** The decompressed body. Rejects only when the connection breaks. */
export async function readBody(request: IncomingMessage, limits: BodyLimits): Promise<Parsed<Uint8Array, BodyRefused>> {
  const coding = (request.headers["content-encoding"] ?? "identity").trim().toLowerCase();
  if (coding !== "identity" && coding !== "gzip")
    return refused({ status: 415, message: `content-encoding ${JSON.stringify(coding)}: send gzip or identity` });
  const tooLarge = refused({ status: 413, message: `the body is larger than ${limits.maxBytes} bytes` });
  if (Number(request.headers["content-length"] ?? 0) > limits.maxBytes) return tooLarge;
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of fromStream(request)) {
    length += chunk.length;
    if (length > limits.maxBytes) return tooLarge;
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks, length);
  if (coding === "identity") return parsed(body);
  try {
    return parsed(await unzip(body, { maxOutputLength: limits.maxDecodedBytes }));
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE"
      ? refused({ status: 413, message: `the body unpacks to more than ${limits.maxDecodedBytes} bytes` })
      : refused({ status: 400, message: "the body is not gzip" });
  }
}

/** A request without an encoding set gives buffers. */
function fromStream(request: IncomingMessage): AsyncIterable<Buffer> {
  return request as AsyncIterable<Buffer>;
}
