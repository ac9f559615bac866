import { type Clock, type Deadline, remainingMs, type Timer, type Watch } from "@weft/foundation";
import {
  type ClientStream,
  emptyMetadata,
  type Metadata,
  type Status,
  StatusCode,
  type StreamOutcome,
} from "@weft/wire";
import { type CallHead, type ForwardAction, findRoute, pickCluster, type WeightedCluster } from "../route/route.js";
import type { Snapshot } from "../snapshot/snapshot.js";
import type { Subchannel } from "../subchannel/subchannel.js";
import type { ClientAttemptTelemetry, ClientCallTelemetry } from "../telemetry/telemetry.js";
import { RequestBuffer } from "./request-buffer.js";
import type { RetryBudget } from "./retry-budget.js";
import { type RetryPolicy, retryWaitMs } from "./retry-policy.js";

/** What happens on a call, told to its caller. Callbacks are synchronous and must not throw. */
export interface CallEvents {
  /** The response's initial metadata; not called when the call ends without any. */
  head(metadata: Metadata): void;
  message(bytes: Uint8Array): void;
  /** Exactly once, last. */
  end(status: Status, trailers: Metadata): void;
  /** After a `write` that returned false: there is room again. */
  writable?(): void;
}

/** What all calls of a target share. */
export interface CallEnvironment {
  /** Key of the target in the snapshot. */
  readonly target: string;
  readonly snapshot: Watch<Snapshot>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly budget: RetryBudget;
  readonly limits: CallLimits;
}

export interface CallLimits {
  /** Request bytes that are kept for another attempt. */
  readonly maxBufferBytes: number;
  /** How long a call without a deadline waits for its first configuration. */
  readonly maxConfigWaitMs: number;
  /** How long a call whose cluster has no endpoint that can be reached waits for one. */
  readonly maxDownMs: number;
}

export const defaultCallLimits: CallLimits = { maxBufferBytes: 256 * 1024, maxConfigWaitMs: 30_000, maxDownMs: 5_000 };

export interface CallStart {
  readonly head: CallHead;
  readonly deadline: Deadline;
  /** For routes that have no retry policy. */
  readonly retry: RetryPolicy;
  /** Whether the caller sends one message: only then can a policy's retry know that it repeats the whole request. */
  readonly unaryRequest: boolean;
  readonly telemetry: ClientCallTelemetry;
}

/** Transparent retries after which the wait between them stops growing. */
const maxTransparentWaitMs = 250;

/**
 * One call: routes it, then makes attempts until one is committed or the last has failed.
 *
 *   waiting (config, endpoint, back-off) ──picked──> attempt ──head arrived──> committed ──end──> over
 *      ^                                               │
 *      └────── retry: not processed, or the policy ────┘ (nothing has been heard of the response)
 *
 * The snapshot is read anew for each attempt and waited for only while it has no answer.
 */
export class Call {
  readonly #env: CallEnvironment;
  readonly #start: CallStart;
  readonly #events: CallEvents;
  readonly #buffer: RequestBuffer;
  readonly #tried = new Set<string>();
  #route: { readonly action: ForwardAction; readonly cluster: WeightedCluster } | undefined;
  #deadline: Deadline;
  #stream: ClientStream | undefined;
  #attempt: ClientAttemptTelemetry | undefined;
  #attempts = 0;
  #policyRetries = 0;
  #transparentRetries = 0;
  #granted = 0;
  #committed = false;
  #writeBlocked = false;
  #over = false;
  #wait: Disposable | undefined;
  #downSinceMs: number | undefined;
  #waitingFor: { readonly missing: string; readonly kind: "config" | "endpoint" } | undefined;
  #lastFailure: Status | undefined;

  constructor(env: CallEnvironment, start: CallStart, events: CallEvents) {
    this.#env = env;
    this.#start = start;
    this.#events = events;
    this.#deadline = start.deadline;
    this.#buffer = new RequestBuffer(env.limits.maxBufferBytes);
    env.budget.deposit();
  }

  /** Begins. Write the request before or after: it is kept until there is a stream for it. */
  begin(): void {
    this.#step();
  }

  /** Sends one message. False means that there is no room: wait for `writable`. */
  write(message: Uint8Array): boolean {
    if (this.#over) return true;
    this.#buffer.push(message);
    if (this.#stream === undefined) {
      this.#writeBlocked = this.#buffer.full;
      return !this.#writeBlocked;
    }
    this.#attempt?.sent(message.byteLength);
    // What does not fit is not kept, and so the attempt that has it is the last.
    if (this.#buffer.full) this.#commit();
    return this.#stream.write(message);
  }

  /** No more messages from this side. */
  end(): void {
    this.#buffer.end();
    this.#stream?.end();
  }

  /** Grants `count` more messages. */
  read(count: number): void {
    this.#granted += count;
    this.#stream?.read(count);
  }

  /** Ends the call from this side. */
  cancel(status: Status): void {
    if (this.#over) return;
    const stream = this.#stream;
    this.#finish(status, emptyMetadata);
    stream?.reset(status);
  }

  #step(): void {
    if (this.#over) return;
    this.#stopWaiting();
    const leftMs = remainingMs(this.#deadline, this.#env.clock);
    if (leftMs === 0) {
      this.#deadlinePassed();
      return;
    }
    const snapshot = this.#env.snapshot.value;
    const route = this.#findRoute(snapshot);
    if (route === undefined) return;
    const cluster = snapshot.clusters.get(route.cluster.name);
    if (cluster === undefined || cluster.t === "pending") {
      this.#waitForChange(cluster?.missing ?? `cluster ${JSON.stringify(route.cluster.name)}`, "config");
      return;
    }
    if (cluster.t === "failed") {
      this.#fail(cluster.message);
      return;
    }
    const pick = cluster.picker.pick({ path: this.#start.head.path, tried: this.#tried });
    switch (pick.t) {
      case "complete":
        this.#downSinceMs = undefined;
        this.#waitingFor = undefined;
        this.#send(pick.endpoint, route.cluster);
        return;
      case "queue":
        this.#waitForChange(`a connection to cluster ${JSON.stringify(route.cluster.name)}`, "endpoint");
        return;
      case "fail":
        this.#waitForEndpoint(`cluster ${JSON.stringify(route.cluster.name)}: ${pick.message}`);
        return;
    }
  }

  /** The route, found once; again only if what it names has gone. `undefined` when the call waits or is over. */
  #findRoute(snapshot: Snapshot): { readonly action: ForwardAction; readonly cluster: WeightedCluster } | undefined {
    if (this.#route !== undefined && snapshot.clusters.has(this.#route.cluster.name)) return this.#route;
    const target = snapshot.targets.get(this.#env.target);
    if (target === undefined || target.t === "pending") {
      this.#waitForChange(target?.missing ?? "a control plane: this process was started without one", "config");
      return undefined;
    }
    if (target.t === "failed") {
      this.#fail(target.message);
      return undefined;
    }
    const { head } = this.#start;
    const route = findRoute(target.host, head, this.#env.random);
    if (route === undefined || route.action.t === "refuse") {
      this.#fail(`${this.#env.target} has no route for ${head.path}`);
      return undefined;
    }
    const cluster = pickCluster(route.action, this.#env.random);
    if (cluster === undefined) {
      this.#fail(`the route of ${head.path} names no cluster`);
      return undefined;
    }
    this.#limitDuration(route.action);
    this.#route = { action: route.action, cluster };
    return this.#route;
  }

  #limitDuration({ maxDurationMs }: ForwardAction): void {
    if (maxDurationMs === undefined || this.#route !== undefined) return;
    const limit = this.#env.clock.nowMs() + maxDurationMs;
    this.#deadline = this.#deadline === undefined ? limit : Math.min(this.#deadline, limit);
  }

  #send(endpoint: Subchannel, cluster: WeightedCluster): void {
    this.#attempts += 1;
    const attempt = this.#start.telemetry.attempt(this.#attempts, endpoint.address);
    const { path, metadata } = this.#start.head;
    const changed = cluster.requestHeaders === undefined ? metadata : cluster.requestHeaders(metadata);
    const timeoutMs = remainingMs(this.#deadline, this.#env.clock);
    const head = { path, metadata: attempt.inject(changed), ...(timeoutMs === undefined ? {} : { timeoutMs }) };
    this.#attempt = attempt;
    const stream = endpoint.open(head, {
      head: (received) => {
        this.#commit();
        if (!this.#over)
          this.#events.head(cluster.responseHeaders === undefined ? received : cluster.responseHeaders(received));
      },
      message: (bytes) => {
        if (this.#over) return;
        this.#commit();
        attempt.received(bytes.byteLength);
        this.#events.message(bytes);
      },
      writable: () => {
        if (!this.#over) this.#events.writable?.();
      },
      end: (outcome) => this.#attemptEnded(outcome, endpoint.address, attempt),
    });
    if (stream === undefined) {
      this.#notOpened(endpoint.address, attempt);
      return;
    }
    this.#stream = stream;
    this.#replay(stream, attempt);
  }

  #replay(stream: ClientStream, attempt: ClientAttemptTelemetry): void {
    let room = true;
    for (const message of this.#buffer.messages) {
      attempt.sent(message.byteLength);
      room = stream.write(message);
    }
    if (this.#buffer.halfClosed) stream.end();
    if (this.#granted > 0) stream.read(this.#granted);
    if (this.#buffer.full) this.#commit();
    if (this.#writeBlocked && room) {
      this.#writeBlocked = false;
      this.#events.writable?.();
    }
  }

  #notOpened(address: string, attempt: ClientAttemptTelemetry): void {
    const status: Status = { code: StatusCode.unavailable, message: `${address}: the connection was lost` };
    this.#attemptEnded({ status, trailers: emptyMetadata, processed: false }, address, attempt);
  }

  #attemptEnded(outcome: StreamOutcome, address: string, attempt: ClientAttemptTelemetry): void {
    attempt.end(outcome.status);
    if (this.#over) return;
    this.#stream = undefined;
    const waitMs = this.#retryWaitMs(outcome);
    if (waitMs === undefined) {
      this.#finish(outcome.status, outcome.trailers);
      return;
    }
    this.#lastFailure = outcome.status;
    this.#tried.add(address);
    if (waitMs === 0) this.#step();
    else this.#waitForTime(waitMs);
  }

  /** How long to wait before the next attempt; `undefined` when there is to be none. */
  #retryWaitMs(outcome: StreamOutcome): number | undefined {
    if (this.#committed || !this.#buffer.complete) return undefined;
    if (!outcome.processed) {
      const retry = this.#transparentRetries++;
      // The first goes at once: there is most likely another endpoint. Then a server that refuses everybody gets some air.
      return retry === 0
        ? 0
        : Math.min(maxTransparentWaitMs, 5 * 2 ** Math.min(retry, 10)) * (0.8 + 0.4 * this.#env.random());
    }
    const policy = this.#route?.action.retry ?? this.#start.retry;
    if (!policy.codes.has(outcome.status.code) || !this.#start.unaryRequest) return undefined;
    if (this.#policyRetries + 1 >= policy.maxAttempts) return undefined;
    const pushback = parsePushback(outcome.trailers);
    if (pushback.t === "stop" || !this.#env.budget.withdraw()) return undefined;
    const retry = this.#policyRetries++;
    return pushback.t === "wait" ? pushback.waitMs : retryWaitMs(policy, retry, this.#env.random);
  }

  #commit(): void {
    if (this.#committed) return;
    this.#committed = true;
    this.#buffer.release();
  }

  /** Waits for the next snapshot, or the deadline. */
  #waitForChange(missing: string, kind: "config" | "endpoint"): void {
    this.#waitingFor = { missing, kind };
    const limitMs = kind === "config" ? this.#env.limits.maxConfigWaitMs : undefined;
    const leftMs = remainingMs(this.#deadline, this.#env.clock) ?? limitMs;
    const subscription = this.#env.snapshot.subscribe(() => this.#step());
    const timer = leftMs === undefined ? undefined : this.#timer(leftMs, () => this.#deadlinePassed());
    this.#wait = both(subscription, timer);
  }

  /** Every endpoint is down: one that restarts is back soon, so the call gives it a while. */
  #waitForEndpoint(message: string): void {
    const nowMs = this.#env.clock.nowMs();
    this.#downSinceMs ??= nowMs;
    const patienceMs = this.#downSinceMs + this.#env.limits.maxDownMs - nowMs;
    if (patienceMs <= 0) {
      this.#fail(message);
      return;
    }
    const leftMs = Math.min(patienceMs, remainingMs(this.#deadline, this.#env.clock) ?? patienceMs);
    this.#wait = both(
      this.#env.snapshot.subscribe(() => this.#step()),
      this.#timer(leftMs, () => this.#fail(message)),
    );
  }

  #waitForTime(waitMs: number): void {
    const leftMs = remainingMs(this.#deadline, this.#env.clock);
    // A retry that could not start before the deadline would change nothing but the wait.
    if (leftMs !== undefined && leftMs <= waitMs) {
      this.#finish(this.#lastFailure ?? deadlineStatus, emptyMetadata);
      return;
    }
    this.#wait = this.#timer(waitMs, () => this.#step());
  }

  #timer(delayMs: number, fire: () => void): Timer {
    return this.#env.clock.after(delayMs, fire);
  }

  #stopWaiting(): void {
    this.#wait?.[Symbol.dispose]();
    this.#wait = undefined;
  }

  #deadlinePassed(): void {
    const waiting = this.#waitingFor;
    if (waiting === undefined) this.#finish(deadlineStatus, emptyMetadata);
    // Without its configuration the process is not ready: that is what its callers are told, and what is missing.
    else if (waiting.kind === "config") this.#fail(`still waiting for ${waiting.missing}`);
    else
      this.#finish(
        { ...deadlineStatus, message: `deadline exceeded while waiting for ${waiting.missing}` },
        emptyMetadata,
      );
  }

  #fail(message: string): void {
    const last = this.#lastFailure === undefined ? "" : `; last attempt: ${this.#lastFailure.message}`;
    this.#finish({ code: StatusCode.unavailable, message: message + last }, emptyMetadata);
  }

  #finish(status: Status, trailers: Metadata): void {
    if (this.#over) return;
    this.#over = true;
    this.#stopWaiting();
    this.#stream = undefined;
    this.#buffer.release();
    this.#attempt?.end(status);
    this.#start.telemetry.end(status);
    this.#events.end(status, trailers);
  }
}

const deadlineStatus: Status = { code: StatusCode.deadlineExceeded, message: "deadline exceeded" };

/** `grpc-retry-pushback-ms` (gRFC A6): how long the server wants to be left alone; anything but a number from 0 on means for good. */
function parsePushback(
  trailers: Metadata,
): { readonly t: "none" } | { readonly t: "stop" } | { readonly t: "wait"; readonly waitMs: number } {
  for (const [name, value] of trailers) {
    if (name !== "grpc-retry-pushback-ms") continue;
    return typeof value === "string" && /^\d{1,9}$/.test(value) ? { t: "wait", waitMs: Number(value) } : { t: "stop" };
  }
  return { t: "none" };
}

function both(a: Disposable, b: Disposable | undefined): Disposable {
  return {
    [Symbol.dispose]() {
      a[Symbol.dispose]();
      b?.[Symbol.dispose]();
    },
  };
}
