import { brotliDecompressSync, gunzipSync } from "node:zlib";
import type { ConnectRouter } from "@connectrpc/connect";
import { withoutCardNumbers } from "@weft/chassis";

type Handler = ConnectRouter["handlers"][number];
type Answer = Awaited<ReturnType<Handler>>;

/** Connect's compressed flag of an envelope. */
const compressedFlag = 0x01;
/** Flags of the last envelope of a stream, which holds its error: Connect's end of stream, gRPC-Web's trailers. */
const endFlags: ReadonlySet<number> = new Set([0x02, 0x80]);
const envelopeHead = 5;

/** The headers that say how a body or the envelopes in it are compressed. */
const encodingHeaders = ["content-encoding", "connect-content-encoding", "grpc-encoding"];

/**
 * Takes card numbers out of the errors that Connect makes by itself, before any handler runs: it describes a message that cannot be parsed
 * with the value that is wrong. Replies are left alone.
 */
export function cleanErrors(router: ConnectRouter): void {
  for (const [index, handler] of router.handlers.entries())
    router.handlers[index] = Object.assign(
      async (request: Parameters<Handler>[0]) => cleaned(await handler(request)),
      // A handler is a function that carries what it serves.
      { ...handler },
    );
}

async function cleaned(answer: Answer): Promise<Answer> {
  const { body, status, header = new Headers(), trailer } = answer;
  for (const headers of [header, trailer]) {
    const message = headers?.get("grpc-message");
    if (typeof message === "string") headers?.set("grpc-message", withoutCardNumbers(message));
  }
  if (body === undefined) return answer;
  const encoding = encodingHeaders.map((name) => header.get(name)).find((value) => value !== null) ?? "identity";
  if (status === 200) return { ...answer, body: cleanedEnds(body, encoding) };
  // An error in place of a single reply has a status of its own, and is a text.
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  const text = Buffer.from(withoutCardNumbers(decompressed(Buffer.concat(chunks), encoding).toString()));
  header.delete("content-encoding");
  header.set("content-length", String(text.length));
  return { ...answer, header, body: once(text) };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

async function* cleanedEnds(
  body: AsyncIterable<Uint8Array>,
  encoding: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of body) yield cleanedEnd(chunk, encoding);
}

/** An envelope comes as a chunk; only the last of a stream is touched. */
function cleanedEnd(chunk: Uint8Array, encoding: string): Uint8Array {
  const given = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
  const flags = given[0] ?? 0;
  const endFlag = flags & ~compressedFlag;
  if (!endFlags.has(endFlag) || given.length < envelopeHead) return chunk;
  if (given.readUInt32BE(1) !== given.length - envelopeHead) return chunk;
  const payload = given.subarray(envelopeHead);
  const text = decompressed(payload, flags === endFlag ? "identity" : encoding).toString();
  const clean = withoutCardNumbers(text);
  if (clean === text) return chunk;
  const bytes = Buffer.from(clean);
  const head = Buffer.alloc(envelopeHead);
  head[0] = endFlag;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** What this process compressed itself a moment ago. */
function decompressed(bytes: Buffer, encoding: string): Buffer {
  if (encoding === "gzip") return gunzipSync(bytes);
  return encoding === "br" ? brotliDecompressSync(bytes) : bytes;
}
