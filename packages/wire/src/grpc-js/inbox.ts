/**
 * Hands messages over only as far as the reader has granted.
 *
 * grpc-js tells of the other side's end only to who asks for one more message, so the inbox asks one ahead of the grants
 * and keeps at most that one message back:
 *
 *   ask ──> arrive ──granted──> deliver ──> ask …        finish: after what is kept back
 *              └─────none──────> kept back ──read(n)──> deliver
 */
export class Inbox {
  readonly #ask: () => void;
  readonly #deliver: (bytes: Uint8Array) => void;
  #granted = 0;
  #kept: Uint8Array | undefined;
  #finish: (() => void) | undefined;
  #delivering = false;
  #closed = false;

  constructor(options: { readonly ask: () => void; readonly deliver: (bytes: Uint8Array) => void }) {
    this.#ask = options.ask;
    this.#deliver = options.deliver;
  }

  /** Grants `count` more messages. */
  read(count: number): void {
    this.#granted += count;
    this.#flush();
  }

  /** Takes the message that was asked for. */
  arrive(bytes: Uint8Array): void {
    this.#kept = bytes;
    this.#flush();
  }

  /** Calls `done` once everything that arrived is delivered. */
  finish(done: () => void): void {
    this.#finish = done;
    this.#flush();
  }

  /** Forgets everything: nothing is delivered any more. */
  close(): void {
    this.#closed = true;
    this.#kept = undefined;
    this.#finish = undefined;
  }

  #flush(): void {
    if (this.#delivering || this.#closed) return;
    if (this.#kept !== undefined && this.#granted > 0) {
      const bytes = this.#kept;
      this.#kept = undefined;
      this.#granted -= 1;
      this.#delivering = true;
      this.#deliver(bytes);
      this.#delivering = false;
      if (this.#closed) return;
      if (this.#finish === undefined) this.#ask();
    }
    if (this.#kept === undefined && this.#finish !== undefined) {
      const done = this.#finish;
      this.close();
      done();
    }
  }
}
