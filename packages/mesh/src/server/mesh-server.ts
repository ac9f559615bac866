import { type Clock, type Logger, sleep, type Watch } from "@weft/foundation";
import type { Listener } from "@weft/wire";
import type { HealthService, HealthState } from "./health.js";

export interface DrainOptions {
  /** How long the server serves on while its health says NOT_SERVING, so that clients turn away first. Milliseconds. */
  readonly delayMs: number;
  /** How long calls in flight may go on after GOAWAY; then the rest ends UNAVAILABLE. Milliseconds. */
  readonly timeoutMs: number;
}

/** A server that is bound. Dispose: as `drain({ delayMs: 0, timeoutMs: 0 })`. */
export interface MeshServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Calls that are being served. */
  readonly openStreams: number;
  readonly health: Watch<HealthState>;
  /** What gRPC health says: of one service, or of the server as a whole (`""`). Throws for a service that is not served here. Once draining it stays down. */
  setServing(serving: boolean, service?: string): void;
  /**
   * Stops without losing a call: NOT_SERVING → `delayMs` → GOAWAY → calls in flight end → at `timeoutMs` the rest ends UNAVAILABLE.
   * Resolves when all is closed. A second drain hastens the first if it is shorter.
   */
  drain(options: DrainOptions): Promise<void>;
}

/** See {@link MeshServer}. */
export class DrainingServer implements MeshServer {
  readonly #listener: Listener;
  readonly #health: HealthService;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #draining = false;

  constructor(parts: {
    readonly listener: Listener;
    readonly health: HealthService;
    readonly clock: Clock;
    readonly logger: Logger;
  }) {
    this.#listener = parts.listener;
    this.#health = parts.health;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
  }

  get host(): string {
    return this.#listener.host;
  }

  get port(): number {
    return this.#listener.port;
  }

  get openStreams(): number {
    return this.#listener.openStreams;
  }

  get health(): Watch<HealthState> {
    return this.#health.state;
  }

  setServing(serving: boolean, service?: string): void {
    // A readiness probe that turns good during a drain must not call clients back.
    if (!serving || !this.#draining) this.#health.setServing(serving, service);
  }

  async drain(options: DrainOptions): Promise<void> {
    this.#draining = true;
    this.#health.setServing(false);
    if (options.delayMs > 0) await this.#delay(options.delayMs);
    this.#health.close();
    this.#logger.debug("draining", { openStreams: this.openStreams, timeoutMs: options.timeoutMs });
    await this.#listener.drain(options.timeoutMs);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drain({ delayMs: 0, timeoutMs: 0 });
  }

  /** Waits for the delay, or until another drain has closed. */
  async #delay(delayMs: number): Promise<void> {
    const closed = new AbortController();
    using _subscription = this.#health.state.subscribe((state) => {
      if (state.closed) closed.abort();
    });
    if (this.#health.state.value.closed) return;
    // Rejects only when another drain went ahead: then there is nothing to wait for.
    await sleep(delayMs, { clock: this.#clock, signal: closed.signal }).catch(() => {});
  }
}
