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
/** Up to here it costs less to look whether all is ASCII than to look for U+FFFD in what was read. */
const looked = 64;
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
  const length = end - start;
  if (length <= looked && isAscii(b, start, end)) {
    return length <= shortRead ? shortText(b, start, length) : utf8Slice.call(b, start, end);
  }
  const text = utf8Slice.call(b, start, end);
  // What is not UTF-8 became U+FFFD; where there is one it may also have been sent.
  if (checked && text.includes("\ufffd")) strict.decode(b.subarray(start, end));
  return text;
}

function isAscii(b: Uint8Array, start: number, end: number): boolean {
  let all = 0;
  for (let i = start; i < end; i += 1) all |= b[i]!;
  return all < 0x80;
}

const fromCode = String.fromCharCode;

/** ASCII of at most 12 characters. */
function shortText(b: Uint8Array, p: number, length: number): string {
  switch (length) {
    case 0:
      return "";
    case 1:
      return fromCode(b[p]!);
    case 2:
      return fromCode(b[p]!, b[p + 1]!);
    case 3:
      return fromCode(b[p]!, b[p + 1]!, b[p + 2]!);
    case 4:
      return fromCode(b[p]!, b[p + 1]!, b[p + 2]!, b[p + 3]!);
    case 5:
      return fromCode(b[p]!, b[p + 1]!, b[p + 2]!, b[p + 3]!, b[p + 4]!);
    case 6:
      return fromCode(b[p]!, b[p + 1]!, b[p + 2]!, b[p + 3]!, b[p + 4]!, b[p + 5]!);
    case 7:
      return fromCode(b[p]!, b[p + 1]!, b[p + 2]!, b[p + 3]!, b[p + 4]!, b[p + 5]!, b[p + 6]!);
    default: {
      const first = fromCode(b[p]!, b[p + 1]!, b[p + 2]!, b[p + 3]!, b[p + 4]!, b[p + 5]!, b[p + 6]!, b[p + 7]!);
      return length === 8 ? first : first + shortText(b, p + 8, length - 8);
    }
  }
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
