import type { Keepalive as KeepaliveTimes } from "../transport.js";
import { type TimerWheel, WheelTimer } from "./timer-wheel.js";

/** The connection, as far as its keepalive needs it. */
interface KeepaliveOwner {
  /** Whether a ping is wanted now: a client pings only while a stream is open (gRFC A8), a server always (A9). */
  wanted(): boolean;
  ping(payload: Uint8Array): void;
  /** A ping was not answered in time. */
  lost(): void;
}

const payload = Buffer.from("weft\0\0\0\0", "latin1");

/**
 * Finds out peers that are silently gone.
 *
 *   off ──start──> waiting ──timeMs without a byte──> asking ──answer, or any byte──> waiting
 *                    │  ^                                └──timeoutMs──> lost
 *                    └──┴ not wanted: dormant until `wake`
 */
export class Keepalive {
  readonly #times: KeepaliveTimes;
  readonly #owner: KeepaliveOwner;
  readonly #timer: WheelTimer;
  #state: "off" | "waiting" | "dormant" | "asking" = "off";
  #heard = false;

  constructor(times: KeepaliveTimes, wheel: TimerWheel, owner: KeepaliveOwner) {
    this.#times = times;
    this.#owner = owner;
    this.#timer = new WheelTimer(wheel, () => this.#due());
  }

  start(): void {
    if (this.#state === "off") this.#wait();
  }

  /** A stream was opened. */
  wake(): void {
    if (this.#state === "dormant") this.#wait();
  }

  /** Bytes came: whoever sends them is alive. */
  heard(): void {
    this.#heard = true;
  }

  /** A ping was answered. */
  answered(): void {
    if (this.#state === "asking") this.#wait();
  }

  stop(): void {
    this.#state = "off";
    this.#timer.clear();
  }

  #wait(): void {
    this.#state = "waiting";
    this.#heard = false;
    this.#timer.set(this.#times.timeMs);
  }

  #due(): void {
    if (this.#heard && this.#state !== "off") {
      this.#wait();
    } else if (this.#state === "asking") {
      this.#state = "off";
      this.#owner.lost();
    } else if (!this.#owner.wanted()) {
      this.#state = "dormant";
    } else {
      this.#state = "asking";
      this.#owner.ping(payload);
      this.#timer.set(this.#times.timeoutMs);
    }
  }
}
