/**
 * The request messages of a streaming call, as its handler iterates them. A message is asked for only when the handler wants one,
 * so a slow handler slows its client down.
 */
export class RequestQueue<T> implements AsyncIterableIterator<T> {
  readonly #ask: () => void;
  readonly #arrived: T[] = [];
  readonly #waiting: { resolve(result: IteratorResult<T, undefined>): void; reject(error: unknown): void }[] = [];
  #end: { readonly t: "done" } | { readonly t: "failed"; readonly error: () => unknown } | undefined;

  constructor(ask: () => void) {
    this.#ask = ask;
  }

  push(message: T): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#arrived.push(message);
    else waiting.resolve({ done: false, value: message });
  }

  /** The client sends no more. */
  finish(): void {
    this.#end ??= { t: "done" };
    for (const waiting of this.#waiting.splice(0)) waiting.resolve({ done: true, value: undefined });
  }

  /** The call is over before its client was done; `error` makes what the reader is told. */
  fail(error: () => unknown): void {
    this.#end ??= { t: "failed", error };
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error());
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const message = this.#arrived.shift();
    if (message !== undefined) return Promise.resolve({ done: false, value: message });
    if (this.#end?.t === "done") return Promise.resolve({ done: true, value: undefined });
    if (this.#end?.t === "failed") return Promise.reject(this.#end.error());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#ask();
    });
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.finish();
    this.#arrived.length = 0;
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
