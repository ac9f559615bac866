import { whenAborted } from "./when-aborted.js";

/**
 * A value that changes, seen from the reading side. Values are immutable; a change replaces the value whole.
 * A slow reader sees the newest value, not each one in between.
 */
export interface Watch<T> {
  /** The value now. */
  readonly value: T;
  /** Calls `listener` after each change, synchronously and in order. Dispose to stop. */
  subscribe(listener: (value: T) => void): Disposable;
  /** The value now, then the newest after each change, until the signal aborts (then it returns, without an error). */
  changes(signal: AbortSignal): AsyncIterable<T>;
  /** The first value, now or later, that `accept` takes. Rejects with the signal's reason when that aborts first. */
  until<S extends T>(accept: (value: T) => value is S, signal: AbortSignal): Promise<S>;
  until(accept: (value: T) => boolean, signal: AbortSignal): Promise<T>;
}

/** The writing side of a {@link Watch}: one owner, many readers. */
export class WatchSource<T> implements Watch<T> {
  #value: T;
  readonly #listeners = new Set<(value: T) => void>();

  constructor(initial: T) {
    this.#value = initial;
  }

  get value(): T {
    return this.#value;
  }

  /** Replaces the value and tells every reader; the identical value (`Object.is`) is no change. */
  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const listener of [...this.#listeners]) {
      // A reader has changed it again: everybody has been told of that, and must not hear of this one after it.
      if (!Object.is(this.#value, value)) return;
      if (this.#listeners.has(listener)) listener(value);
    }
  }

  subscribe(listener: (value: T) => void): Disposable {
    // Wrapped, so that one function subscribed twice counts twice.
    const entry = (value: T): void => listener(value);
    this.#listeners.add(entry);
    return { [Symbol.dispose]: () => void this.#listeners.delete(entry) };
  }

  async *changes(signal: AbortSignal): AsyncIterable<T> {
    let seen: { readonly value: T } | undefined;
    while (!signal.aborted) {
      if (seen === undefined || !Object.is(seen.value, this.#value)) {
        seen = { value: this.#value };
        yield this.#value;
        continue;
      }
      await this.#nextChange(signal);
    }
  }

  until<S extends T>(accept: (value: T) => value is S, signal: AbortSignal): Promise<S>;
  until(accept: (value: T) => boolean, signal: AbortSignal): Promise<T>;
  until(accept: (value: T) => boolean, signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      if (accept(this.#value)) {
        resolve(this.#value);
        return;
      }
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const stop = (): void => {
        subscription[Symbol.dispose]();
        aborted[Symbol.dispose]();
      };
      const subscription = this.subscribe((value) => {
        let fits: boolean;
        try {
          fits = accept(value);
        } catch (error) {
          stop();
          reject(error);
          return;
        }
        if (!fits) return;
        stop();
        resolve(value);
      });
      const aborted = whenAborted(signal, (reason) => {
        stop();
        reject(reason);
      });
    });
  }

  /** Settles at the next change or when the signal aborts, whichever is first. */
  #nextChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const settle = (): void => {
        subscription[Symbol.dispose]();
        aborted[Symbol.dispose]();
        resolve();
      };
      const subscription = this.subscribe(settle);
      const aborted = whenAborted(signal, settle);
    });
  }
}
