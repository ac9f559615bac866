import {
  type Backoff,
  type BackoffPolicy,
  type Clock,
  createBackoff,
  type Timer,
  type Watch,
  WatchSource,
} from "@weft/foundation";
import type { ClientStream, ClientStreamEvents, Connection, RequestHead } from "@weft/wire";
import type { CandidateState, Endpoint } from "../balancer/picker.js";

/** A connection that lives shorter than this gives no credit: the next one waits for the back-off. */
const shortLivedMs = 1_000;

/**
 * The way to one address: at most one connection that takes streams, replaced when it is lost.
 *
 *   idle ──connect()──> connecting ──up──> ready ──GOAWAY or lost──> connecting (at once, if it had lived for a while)
 *                          │  ^                                          │
 *                          │  └──────── time over ──── backoff <─────────┘ (otherwise)
 *                          └──────── failed ────────────>┘
 *
 * What a connection still carries when it is replaced ends by itself: streams belong to their connection.
 */
type Connectivity =
  | { readonly t: "idle" }
  | { readonly t: "connecting"; readonly connection: Connection; readonly cause: string | undefined }
  | { readonly t: "ready"; readonly connection: Connection; readonly sinceMs: number }
  | { readonly t: "backoff"; readonly timer: Timer; readonly cause: string };

export class Subchannel implements Endpoint {
  readonly address: string;
  readonly #dial: () => Connection;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #state = new WatchSource<Connectivity>({ t: "idle" });
  readonly #connections = new Set<Connection>();
  readonly #closing = new Set<Promise<void>>();
  #inFlight = 0;
  #closed = false;

  constructor(options: {
    readonly address: string;
    /** Starts a connection. */
    readonly dial: () => Connection;
    readonly clock: Clock;
    readonly backoff: BackoffPolicy;
    readonly random: () => number;
  }) {
    this.address = options.address;
    this.#dial = options.dial;
    this.#clock = options.clock;
    this.#backoff = createBackoff(options.backoff, options.random);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Changes whenever {@link Subchannel.candidate} would. */
  get changes(): Watch<unknown> {
    return this.#state;
  }

  /** As balancers see it. One that failed counts as failed until it is up again (gRPC's sticky TRANSIENT_FAILURE). */
  get candidate(): CandidateState {
    return candidateOf(this.#state.value);
  }

  /** Starts connecting if nothing is under way. */
  connect(): void {
    if (this.#state.value.t === "idle" && !this.#closed) this.#start(undefined);
  }

  /** Ends the wait of a back-off: there is news that the address may answer again. */
  connectNow(): void {
    const state = this.#state.value;
    if (state.t !== "backoff" || this.#closed) return;
    state.timer[Symbol.dispose]();
    this.#backoff.reset();
    this.#start(state.cause);
  }

  /** Opens a stream; `undefined` when there is no connection to open it on. */
  open(head: RequestHead, events: ClientStreamEvents): ClientStream | undefined {
    const state = this.#state.value;
    if (state.t !== "ready") return undefined;
    this.#inFlight += 1;
    return state.connection.open(head, {
      head: (metadata) => events.head(metadata),
      message: (bytes) => events.message(bytes),
      writable: () => events.writable?.(),
      end: (outcome) => {
        this.#inFlight -= 1;
        events.end(outcome);
      },
    });
  }

  /** Takes no more streams; those in flight end by themselves, or UNAVAILABLE when `drainMs` is over. */
  async close(drainMs: number): Promise<void> {
    this.#closed = true;
    const state = this.#state.value;
    if (state.t === "backoff") state.timer[Symbol.dispose]();
    this.#state.set({ t: "idle" });
    for (const connection of this.#connections) this.#closeConnection(connection, drainMs);
    await Promise.all(this.#closing);
  }

  #start(cause: string | undefined): void {
    const connection = this.#dial();
    this.#connections.add(connection);
    this.#state.set({ t: "connecting", connection, cause });
    const subscription = connection.state.subscribe((state) => {
      if (state.t === "ready") this.#up(connection);
      if (state.t === "draining") this.#lost(connection, "the connection is closing");
      if (state.t === "closed") {
        subscription[Symbol.dispose]();
        this.#connections.delete(connection);
        this.#lost(connection, state.cause instanceof Error ? state.cause.message : "the connection was closed");
      }
    });
    // A transport may know the outcome before anyone could subscribe.
    if (connection.state.value.t === "ready") this.#up(connection);
    if (connection.state.value.t === "closed") {
      subscription[Symbol.dispose]();
      this.#connections.delete(connection);
      this.#lost(connection, "the connection was closed");
    }
  }

  #up(connection: Connection): void {
    const state = this.#state.value;
    if (state.t !== "connecting" || state.connection !== connection) return;
    this.#state.set({ t: "ready", connection, sinceMs: this.#clock.nowMs() });
  }

  #lost(connection: Connection, cause: string): void {
    const state = this.#state.value;
    if ((state.t !== "connecting" && state.t !== "ready") || state.connection !== connection || this.#closed) return;
    if (state.t === "ready" && this.#clock.nowMs() - state.sinceMs >= shortLivedMs) {
      this.#backoff.reset();
      this.#start(undefined);
      return;
    }
    const timer = this.#clock.after(this.#backoff.nextMs(), () => this.#start(cause));
    timer.unref();
    this.#state.set({ t: "backoff", timer, cause });
  }

  #closeConnection(connection: Connection, drainMs: number): void {
    const closing: Promise<void> = connection
      .close(drainMs)
      // A connection that cannot even be closed is gone; there is nobody to tell.
      .catch(() => {})
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}

function candidateOf(state: Connectivity): CandidateState {
  switch (state.t) {
    case "idle":
    case "ready":
      return { t: state.t };
    case "connecting":
      return state.cause === undefined ? { t: "connecting" } : { t: "failed", message: state.cause };
    case "backoff":
      return { t: "failed", message: state.cause };
  }
}
