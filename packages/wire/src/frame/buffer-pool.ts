/** Size of the chunks that frames are written to; a full one is sent at once, so that both peers work at the same time. */
export const chunkBytes = 16 * 1024;
/** Chunks kept for use again: 1 MiB. */
const maxFree = 64;

/** Chunks for all connections of a transport: a connection holds one only while it has something to send. */
export class BufferPool {
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(chunkBytes);
  }

  give(chunk: Buffer): void {
    if (chunk.length === chunkBytes && this.#free.length < maxFree) this.#free.push(chunk);
  }
}
