import type { MessageBuffer, MessageEncoder } from "../transport.js";

/** A buffer of its own, for a message that is compressed before it is sent. */
class OwnBuffer implements MessageBuffer {
  bytes: Uint8Array = new Uint8Array(4_096);
  position = 0;

  grow(used: number, count: number): void {
    const grown = new Uint8Array(Math.max(used + count, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, used));
    this.bytes = grown;
  }
}

/** The message as bytes of their own. */
export function encodedMessage<Message>(encoder: MessageEncoder<Message>, message: Message): Uint8Array {
  const buffer = new OwnBuffer();
  const length = encoder.encodeInto(message, buffer);
  return buffer.bytes.subarray(0, length);
}
