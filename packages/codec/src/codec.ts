import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { type Parsed, parsed, refused } from "@weft/foundation";
import { copyOfBytes, prematureEnd, reader } from "./bytes/reader.js";
import { Writer, writeRaw } from "./bytes/writer.js";
import { type BackendName, Compiler } from "./compiler.js";
import { type LocalMessage, type MessageType, recursionLimit } from "./message-type.js";
import { decodeByProtobufEs, encodeByProtobufEs, needsProtobufEs } from "./protobuf-es.js";
import { GrowingBuffer, type SendBuffer } from "./send-buffer.js";
import { canCompileSource } from "./source/source.js";

/** How a message is written. */
export interface EncodeOptions {
  /** Equal messages give equal bytes: entries of maps are sorted. Default false: they stand in the order of the object that holds them. */
  readonly deterministic?: boolean;
}

/** Turns messages of one type into bytes and back. */
export interface Codec<Desc extends DescMessage> {
  /** The message as protobuf binary. Throws only if the message breaks its own type, such as a string in a number's place. */
  encode(message: MessageShape<Desc>, options?: EncodeOptions): Uint8Array;
  /**
   * Writes the message where the buffer stands, and gives the number of its bytes. Throws as {@link encode} does, and then the buffer's
   * position is what it was; what lies behind the position may have been written over.
   */
  encodeInto(message: MessageShape<Desc>, buffer: SendBuffer, options?: EncodeOptions): number;
  /**
   * Reads protobuf binary from `start` up to `end`, which are all the bytes when absent; why it cannot be read is a value. The message has
   * nothing in common with the bytes: they may be written over once this returns.
   */
  decode(bytes: Uint8Array, start?: number, end?: number): Parsed<MessageShape<Desc>>;
  /**
   * As {@link decode}, of bytes that the caller hands over and never writes to again: large fields of type `bytes` are views of them, not copies.
   */
  decodeOwned(bytes: Uint8Array, start?: number, end?: number): Parsed<MessageShape<Desc>>;
}

/** Makes codecs, each once a descriptor; descriptors are made once a process, so this never grows beyond the contracts in use. */
export class Codecs {
  readonly #codecs = new WeakMap<DescMessage, Codec<DescMessage>>();
  readonly #compiler: Compiler;

  constructor(backend: BackendName) {
    this.#compiler = new Compiler(backend);
  }

  of<Desc extends DescMessage>(schema: Desc): Codec<Desc> {
    let codec = this.#codecs.get(schema);
    if (codec === undefined) {
      codec = needsProtobufEs(schema) ? new ProtobufEsCodec(schema) : new CompiledCodec(this.#compiler.typeOf(schema));
      this.#codecs.set(schema, codec);
    }
    return fromCache<Desc>(codec);
  }
}

let codecs: Codecs | undefined;

/** The codec of a message type; the same one each time. */
export function codecOf<Desc extends DescMessage>(schema: Desc): Codec<Desc> {
  codecs ??= new Codecs(canCompileSource() ? "source" : "closures");
  return codecs.of(schema);
}

/** Memory that messages are first written in, and copied from. */
const scratchBytes = 64 * 1024;
/** Memory that had to grow beyond this is given away with the message that it grew for. */
const keptScratchBytes = 256 * 1024;

/** Taken while a message is written: a getter in a message that encodes another one finds none, and makes its own. */
let idle: { readonly writer: Writer; readonly scratch: GrowingBuffer } | undefined;

function takeWriter(): { readonly writer: Writer; readonly scratch: GrowingBuffer } {
  const taken = idle;
  idle = undefined;
  if (taken !== undefined) return taken;
  const scratch = new GrowingBuffer(scratchBytes);
  return { writer: new Writer(scratch), scratch };
}

class CompiledCodec implements Codec<DescMessage> {
  readonly #type: MessageType;

  constructor(type: MessageType) {
    this.#type = type;
  }

  encode(message: MessageShape<DescMessage>, options?: EncodeOptions): Uint8Array {
    const taken = takeWriter();
    taken.writer.use(taken.scratch, options?.deterministic === true);
    const length = this.#type.encode(fromMessage(message), taken.writer, 0);
    if (taken.scratch.bytes.length > keptScratchBytes) return taken.scratch.bytes.subarray(0, length);
    idle = taken;
    return taken.scratch.bytes.slice(0, length);
  }

  encodeInto(message: MessageShape<DescMessage>, buffer: SendBuffer, options?: EncodeOptions): number {
    const taken = takeWriter();
    taken.writer.use(buffer, options?.deterministic === true);
    const start = buffer.position;
    const end = this.#type.encode(fromMessage(message), taken.writer, start);
    buffer.position = end;
    idle = taken;
    return end - start;
  }

  decode(bytes: Uint8Array, start = 0, end = bytes.length): Parsed<MessageShape<DescMessage>> {
    return this.#read(bytes, start, end, false);
  }

  decodeOwned(bytes: Uint8Array, start = 0, end = bytes.length): Parsed<MessageShape<DescMessage>> {
    return this.#read(bytes, start, end, true);
  }

  #read(bytes: Uint8Array, start: number, end: number, owned: boolean): Parsed<MessageShape<DescMessage>> {
    const type = this.#type;
    try {
      reader.end = end;
      reader.owned = owned;
      const message = type.create();
      if (type.decode(message, bytes, start, end, recursionLimit) > end) prematureEnd();
      return parsed(message);
    } catch (error) {
      return refusal(type.desc, error);
    }
  }
}

class ProtobufEsCodec implements Codec<DescMessage> {
  readonly #desc: DescMessage;

  constructor(desc: DescMessage) {
    this.#desc = desc;
  }

  encode(message: MessageShape<DescMessage>, options?: EncodeOptions): Uint8Array {
    return encodeByProtobufEs(this.#desc, message, options?.deterministic === true);
  }

  encodeInto(message: MessageShape<DescMessage>, buffer: SendBuffer, options?: EncodeOptions): number {
    const bytes = this.encode(message, options);
    buffer.position = writeRaw(new Writer(buffer), buffer.position, bytes, 0);
    return bytes.length;
  }

  decode(bytes: Uint8Array, start = 0, end = bytes.length): Parsed<MessageShape<DescMessage>> {
    return this.decodeOwned(copyOfBytes(bytes, start, end));
  }

  decodeOwned(bytes: Uint8Array, start = 0, end = bytes.length): Parsed<MessageShape<DescMessage>> {
    try {
      // Never a Buffer, of which fields would be Buffers.
      const owned = new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
      return parsed(decodeByProtobufEs(this.#desc, owned));
    } catch (error) {
      return refusal(this.#desc, error);
    }
  }
}

function refusal(desc: DescMessage, error: unknown): Parsed<never> {
  return refused(`${desc.typeName}: ${error instanceof Error ? error.message : String(error)}`);
}

/** The cache holds codecs of all types; what it holds under a descriptor was made from that descriptor. */
function fromCache<Desc extends DescMessage>(codec: unknown): Codec<Desc> {
  return codec as Codec<Desc>;
}

/** A message in the sense of protobuf-es; encoders check its type name. */
function fromMessage(message: MessageShape<DescMessage>): LocalMessage {
  return message as LocalMessage;
}
