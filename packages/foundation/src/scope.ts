/**
 * Owns what is started under it: resources and background tasks. Whoever starts something starts it in a scope.
 *
 *   open --dispose, abort, or a task that fails--> ending --all owned disposed--> ended
 *
 * A task that fails ends the scope: {@link Scope.failed} rejects, the signal aborts, and the owner (in the end `main`) disposes.
 */
export class Scope implements AsyncDisposable {
  readonly #abort = new AbortController();
  readonly #owned: AsyncDisposable[] = [];
  readonly #tasks = new Set<Promise<void>>();
  readonly #failed: Promise<never>;
  #fail: (error: unknown) => void = () => {};
  #disposed: Promise<void> | undefined;

  constructor() {
    this.#failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // Who wants to know awaits `failed`; nobody else is bothered by an unhandled rejection.
    this.#failed.catch(() => {});
  }

  /** Aborts when the scope ends, with the error of the failed task as its reason if there was one. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Rejects with the error of the first task that fails; never resolves. */
  get failed(): Promise<never> {
    return this.#failed;
  }

  /** Takes ownership: the resource is disposed with the scope, after everything that was taken later. */
  use<T extends AsyncDisposable>(resource: T): T {
    if (this.#disposed !== undefined) throw new Error("scope: already disposed");
    this.#owned.push(resource);
    return resource;
  }

  /** Like {@link Scope.use}, with a function that is called at disposal. */
  defer(dispose: () => Promise<void> | void): void {
    this.use({
      async [Symbol.asyncDispose]() {
        await dispose();
      },
    });
  }

  /** A scope within this one: it ends with this one, or sooner by itself. A failure inside it fails this one. */
  child(): Scope {
    const child = this.use(new Scope());
    const onAbort = (): void => child.abort(this.signal.reason);
    if (this.signal.aborted) onAbort();
    else this.signal.addEventListener("abort", onAbort, { once: true });
    child.defer(() => this.signal.removeEventListener("abort", onAbort));
    child.failed.catch((error: unknown) => this.#taskFailed(error));
    return child;
  }

  /** Runs a background task. One that fails before the scope is aborted takes the scope down with it. */
  spawn(task: (signal: AbortSignal) => Promise<void>): void {
    if (this.#disposed !== undefined) throw new Error("scope: already disposed");
    const running = this.#run(task).finally(() => this.#tasks.delete(running));
    this.#tasks.add(running);
  }

  /** Tells all tasks to end, without waiting for them. */
  abort(reason?: unknown): void {
    this.#abort.abort(reason);
  }

  /** Aborts, waits for the tasks, then disposes in reverse order. Errors are collected: none hides another. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #run(task: (signal: AbortSignal) => Promise<void>): Promise<void> {
    try {
      await task(this.signal);
    } catch (error) {
      // A task that ends because it was told to did not fail.
      if (!this.signal.aborted) this.#taskFailed(error);
    }
  }

  #taskFailed(error: unknown): void {
    this.#fail(error);
    this.#abort.abort(error);
  }

  async #dispose(): Promise<void> {
    this.#abort.abort();
    const errors: unknown[] = [];
    await Promise.all(this.#tasks);
    for (const resource of this.#owned.reverse()) {
      try {
        await resource[Symbol.asyncDispose]();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, "scope: several resources failed to dispose");
  }
}
