import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type Parsed, parsed, refused } from "@weft/foundation";

/** Turns messages of one type into bytes and back. */
export interface Codec<Desc extends DescMessage> {
  /** The message as protobuf binary. Throws only if the message breaks its own type, such as a string in a number's place. */
  encode(message: MessageShape<Desc>): Uint8Array;
  /**
   * Reads protobuf binary; why it cannot be read is a value. Takes the bytes over: fields of type `bytes` are views of them,
   * so who calls must own the buffer and not write to it again. Messages from `@weft/wire` are owned by their receiver.
   */
  decode(bytes: Uint8Array): Parsed<MessageShape<Desc>>;
}

/** One codec a descriptor; descriptors are made once a process, so this never grows beyond the contracts in use. */
const codecs = new WeakMap<DescMessage, Codec<DescMessage>>();

/** The codec of a message type; the same one each time. */
export function codecOf<Desc extends DescMessage>(schema: Desc): Codec<Desc> {
  const known = codecs.get(schema);
  if (known !== undefined) return fromCache<Desc>(known);
  const made = compile(schema);
  codecs.set(schema, fromCache<DescMessage>(made));
  return made;
}

/** The seam for compiled codecs: all there is to know of a type is known here, once, before the first message. */
function compile<Desc extends DescMessage>(schema: Desc): Codec<Desc> {
  return {
    encode: (message) => toBinary(schema, message),
    decode(bytes) {
      try {
        return parsed(fromBinary(schema, bytes));
      } catch (error) {
        return refused(`${schema.typeName}: ${error instanceof Error ? error.message : String(error)}`);
      }
    },
  };
}

/** The cache holds codecs of all types; what it holds under a descriptor was made from that descriptor. */
function fromCache<Desc extends DescMessage>(codec: unknown): Codec<Desc> {
  return codec as Codec<Desc>;
}
