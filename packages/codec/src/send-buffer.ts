/**
 * Where a message is written in place, with no copy between: a transport's own buffer. Whoever owns it moves `position` past the room
 * that it wants before the message (a gRPC prefix, a frame's header), has the message written, and fills that room in, as it then knows the length.
 */
export interface SendBuffer {
  /** What is being filled. Another one after {@link grow}. */
  readonly bytes: Uint8Array;
  /** Where the next byte goes. Moved past the message once it is whole, and left as it was if the message cannot be written. */
  position: number;
  /** Makes `bytes` reach at least `count` bytes beyond `used`, keeping the first `used`. Should double, so that growing costs little. */
  grow(used: number, count: number): void;
}

/** A {@link SendBuffer} in memory of its own. */
export class GrowingBuffer implements SendBuffer {
  bytes: Uint8Array;
  position = 0;

  constructor(initialBytes = 4096) {
    this.bytes = new Uint8Array(initialBytes);
  }

  grow(used: number, count: number): void {
    const grown = new Uint8Array(Math.max(used + count, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, used));
    this.bytes = grown;
  }
}
