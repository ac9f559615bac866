import type { DescMessage } from "@bufbuild/protobuf";
import type { Unknowing } from "./bytes/unknown.js";
import type { Writer } from "./bytes/writer.js";

/** A message as protobuf-es makes it: plain properties under the fields' local names, whose types the descriptor tells. */
export interface LocalMessage extends Unknowing {
  readonly $typeName: string;
  [field: string]: unknown;
}

/** Makes a message without values, as protobuf-es's `create` does. */
export type Create = () => LocalMessage;
/** Writes a message's fields at `p` and gives the place after them. */
export type Encode = (m: LocalMessage, w: Writer, p: number) => number;
/** Reads fields from `p` up to `end` into a message and gives the place after them. Messages may nest `depth` deep, this one counted. */
export type Decode = (m: LocalMessage, b: Uint8Array, p: number, end: number, depth: number) => number;

/** What is known of how one type of message is written and read. Functions of one type call those of another through this. */
export interface MessageType {
  readonly desc: DescMessage;
  create: Create;
  encode: Encode;
  decode: Decode;
}

/** As protobuf-es: messages within messages, 100 deep. */
export const recursionLimit = 100;

/** Whoever writes a message of one type is given one of another. */
export function foreignMessage(m: unknown, typeName: string): never {
  const given = typeof m === "object" && m !== null ? String(Reflect.get(m, "$typeName")) : String(m);
  throw new Error(`${typeName} expected, ${given} given`);
}
