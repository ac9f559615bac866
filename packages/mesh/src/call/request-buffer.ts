/**
 * The request of a call, kept so that another attempt can send it again. What is larger than the limit is not kept:
 * then the attempt that is under way is the last.
 */
export class RequestBuffer {
  readonly #maxBytes: number;
  #messages: Uint8Array[] = [];
  #bytes = 0;
  #halfClosed = false;
  #kept = true;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether all that was written is still here. */
  get complete(): boolean {
    return this.#kept;
  }

  get messages(): readonly Uint8Array[] {
    return this.#messages;
  }

  get halfClosed(): boolean {
    return this.#halfClosed;
  }

  get full(): boolean {
    return this.#bytes > this.#maxBytes;
  }

  push(message: Uint8Array): void {
    if (!this.#kept) return;
    this.#messages.push(message);
    this.#bytes += message.byteLength;
  }

  end(): void {
    this.#halfClosed = true;
  }

  /** Forgets the messages: no other attempt will be made. */
  release(): void {
    this.#kept = false;
    this.#messages = [];
    this.#bytes = 0;
  }
}
