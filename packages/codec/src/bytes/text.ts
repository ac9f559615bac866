// biome-ignore-all lint/style/noNonNullAssertion: indexes stay below the length that was checked.
import { bytesOfLength, writeLength } from "./length.js";
import { reader, readLength } from "./reader.js";
import type { Writer } from "./writer.js";

type Slice = (this: Uint8Array, start: number, end: number) => string;
type Write = (this: Uint8Array, text: string, at: number, maxBytes: number) => number;

/** Node's own UTF-8 functions work on any bytes where they stand; without them each string costs a view. */
const utf8Slice: Slice = fromBuffer<Slice>("utf8Slice") ?? sliceThroughBuffer;
const utf8Write: Write = fromBuffer<Write>("utf8Write") ?? writeThroughBuffer;

function fromBuffer<T>(name: string): T | undefined {
  return Reflect.get(Buffer.prototype, name) as T | undefined;
}

function sliceThroughBuffer(this: Uint8Array, start: number, end: number): string {
  return Buffer.from(this.buffer, this.byteOffset + start, end - start).toString("utf8");
}

function writeThroughBuffer(this: Uint8Array, text: string, at: number, maxBytes: number): number {
  return Buffer.from(this.buffer, this.byteOffset + at, maxBytes).write(text, "utf8");
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Up to here a call out of JavaScript costs more than the characters do. Measured on Node 20. */
const shortRead = 12;
const shortWrite = 24;

/** Text whose bytes must be UTF-8. */
export function readText(b: Uint8Array, p: number): string {
  const length = readLength(b, p);
  const start = reader.at;
  const end = start + length;
  reader.at = end;
  return textBetween(b, start, end, true);
}

/** Text in which bytes that are not UTF-8 become U+FFFD, as proto2 has it. */
export function readTextUnchecked(b: Uint8Array, p: number): string {
  const length = readLength(b, p);
  const start = reader.at;
  const end = start + length;
  reader.at = end;
  return textBetween(b, start, end, false);
}

/** The text between two places that lie within the bytes. */
export function textBetween(b: Uint8Array, start: number, end: number, checked: boolean): string {
  if (end - start <= shortRead) {
    const text = shortAscii(b, start, end);
    if (text !== undefined) return text;
  }
  const text = utf8Slice.call(b, start, end);
  // What is not UTF-8 became U+FFFD; where there is one it may also have been sent.
  if (checked && text.includes("\ufffd")) strict.decode(b.subarray(start, end));
  return text;
}

const fromCode = String.fromCharCode;

function shortAscii(b: Uint8Array, start: number, end: number): string | undefined {
  let all = 0;
  for (let i = start; i < end; i += 1) all |= b[i]!;
  if (all > 0x7f) return undefined;
  let text = "";
  let i = start;
  for (; i + 4 <= end; i += 4) text += fromCode(b[i]!, b[i + 1]!, b[i + 2]!, b[i + 3]!);
  const rest = end - i;
  if (rest === 1) text += fromCode(b[i]!);
  else if (rest === 2) text += fromCode(b[i]!, b[i + 1]!);
  else if (rest === 3) text += fromCode(b[i]!, b[i + 1]!, b[i + 2]!);
  return text;
}

/** A length and its text, leaving `room` bytes free behind it. Anything but a string is written as TextEncoder would. */
export function writeText(w: Writer, p: number, value: unknown, room: number): number {
  const text = typeof value === "string" ? value : value === undefined ? "" : `${value}`;
  const length = text.length;
  const longest = length < 1024 ? length * 3 : Buffer.byteLength(text);
  let b = w.bytes;
  if (p + longest + 5 + room > b.length) b = w.grow(p, longest + 5 + room);
  if (length <= shortWrite) {
    let i = 0;
    let at = p + 1;
    for (; i < length; i += 1) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) break;
      b[at++] = code;
    }
    if (i === length) {
      b[p] = length;
      return at;
    }
  }
  // The length is first taken to be that of ASCII, and what follows it is moved when it isn't.
  const start = p + bytesOfLength(length);
  const written = utf8Write.call(b, text, start, longest);
  const prefix = bytesOfLength(written);
  if (p + prefix !== start) b.copyWithin(p + prefix, start, start + written);
  writeLength(b, p, written);
  return p + prefix + written;
}
