/** Has something to write to its socket. */
export interface Flushable {
  flush(): void;
}

/**
 * Connections that have written frames in this turn of the event loop. Each is flushed once, after all that the turn brought has been worked off, so that
 * many frames make one write.
 */
export class FlushQueue {
  #waiting: Flushable[] = [];
  #scheduled = false;
  readonly #run = (): void => {
    this.#scheduled = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const connection of waiting) connection.flush();
  };

  /** Who calls sees to it that each connection is added once a turn. */
  add(connection: Flushable): void {
    this.#waiting.push(connection);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#run);
  }
}
