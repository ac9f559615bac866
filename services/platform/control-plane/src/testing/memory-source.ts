import type { Change, Source, SourceSink } from "../source/source.js";

/** A source that says what the test says. */
export class MemorySource implements Source {
  #sink: SourceSink | undefined;
  #version: bigint;
  #synced = false;

  constructor(version = 100n) {
    this.#version = version;
  }

  /** Tells of changes that happened together; each raises the version by one. */
  apply(...changes: readonly Change[]): void {
    this.#version += BigInt(changes.length);
    this.#sink?.changed(changes);
  }

  /** Everything has been listed. */
  sync(): void {
    this.#synced = true;
    this.#sink?.synced();
  }

  /** A bookmark: nothing changed up to here. */
  raise(version: bigint): void {
    this.#version = version;
  }

  clusterId(): Promise<string> {
    return Promise.resolve("test-cluster");
  }

  version(): bigint {
    return this.#version;
  }

  waitingFor(): readonly string[] {
    return this.#synced ? [] : ["services"];
  }

  start(sink: SourceSink): void {
    this.#sink = sink;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#sink = undefined;
  }
}
