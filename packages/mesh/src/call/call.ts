// One file because a call is one state machine: route, attempts, deadline and both streams change the same state.
import type { DescMethod } from "@bufbuild/protobuf";
import { type Clock, type Deadline, remainingMs, type Timer, type Watch } from "@weft/foundation";
import {
  type ClientStream,
  emptyMetadata,
  type Metadata,
  type Status,
  StatusCode,
  type StreamOutcome,
} from "@weft/wire";
import type { CallHead, WeightedCluster } from "../route/route.js";
import type { Snapshot } from "../snapshot/snapshot.js";
import type { Subchannel } from "../subchannel/subchannel.js";
import type { ClientAttemptTelemetry, ClientCallTelemetry } from "../telemetry/telemetry.js";
import { type ChosenRoute, choose } from "./choose.js";
import { parsePushback } from "./pushback.js";
import { RequestBuffer } from "./request-buffer.js";
import type { RetryBudget } from "./retry-budget.js";
import { idempotentRetry, neverRetry, retryWaitMs } from "./retry-policy.js";

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
  /**
   * How long after the last endpoint of a cluster went down calls wait for one to come back, as after a restart.
   * From then on they fail at once.
   */
  readonly maxDownMs: number;
  /** Whether a call that a server may have begun is tried again at all; transparent retries stay. */
  readonly policyRetries: boolean;
}

export const defaultCallLimits: CallLimits = {
  maxBufferBytes: 256 * 1024,
  maxConfigWaitMs: 30_000,
  maxDownMs: 10_000,
  policyRetries: true,
};

export interface CallStart {
  readonly head: CallHead;
  readonly deadline: Deadline;
  /** Whether doing it twice does no harm, as the contract says: only then does any retry policy apply. */
  readonly idempotent: boolean;
  /** A request of several messages is not repeated by a policy; a response of one is handed over when it is whole. */
  readonly kind: DescMethod["methodKind"];
  readonly telemetry: ClientCallTelemetry;
}

/** Transparent retries after which the wait between them stops growing. */
const maxTransparentWaitMs = 250;

/**
 * One call: routes it, then makes attempts until one is committed or the last has failed.
 *
 *   waiting (config, endpoint, back-off) ──picked──> attempt ──response begins──> committed ──end──> over
 *      ^                                               │ (a unary response begins and ends as one)
 *      └────── retry: not processed, or the policy ────┘
 *
 * The snapshot is read anew for each attempt and waited for only while it has no answer.
 */
export class Call {
  readonly #env: CallEnvironment;
  readonly #start: CallStart;
  readonly #events: CallEvents;
  readonly #buffer: RequestBuffer;
  readonly #tried = new Set<string>();
  #route: ChosenRoute | undefined;
  #deadline: Deadline;
  /** When a call without a deadline has waited long enough for configuration: counted from its first wait, whatever changes meanwhile. */
  #configLimit: Deadline;
  #stream: ClientStream | undefined;
  #attempt: ClientAttemptTelemetry | undefined;
  #attempts = 0;
  #policyRetries = 0;
  #transparentRetries = 0;
  #granted = 0;
  /** What has come of a response that is handed over whole: until then a lost connection costs nothing but time. */
  #held: { head: Metadata | undefined; readonly messages: Uint8Array[] } | undefined;
  #committed = false;
  #writeBlocked = false;
  #over = false;
  #wait: Disposable | undefined;
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
    const room = this.#stream.write(message);
    this.#writeBlocked = !room;
    return room;
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
    if (remainingMs(this.#deadline, this.#env.clock) === 0) {
      this.#deadlinePassed();
      return;
    }
    const { snapshot, target, random } = this.#env;
    const { head } = this.#start;
    const choice = choose({ snapshot: snapshot.value, target, head, route: this.#route, tried: this.#tried, random });
    switch (choice.t) {
      case "send":
        this.#waitingFor = undefined;
        this.#take(choice.route);
        this.#send(choice.endpoint, choice.route.cluster);
        return;
      case "unconfigured":
        this.#waitForChange(choice.missing, "config");
        return;
      case "connecting":
        this.#take(choice.route);
        this.#waitForChange(choice.missing, "endpoint");
        return;
      case "down":
        this.#take(choice.route);
        this.#waitForEndpoint(choice.message, choice.sinceMs);
        return;
      case "fail":
        this.#fail(choice.message);
        return;
    }
  }

  /** Keeps to a route for all attempts; the first one also says how long the call may take. */
  #take(route: ChosenRoute): void {
    const first = this.#route === undefined;
    this.#route = route;
    const { maxDurationMs } = route.action;
    if (maxDurationMs === undefined || !first) return;
    const limit = this.#env.clock.nowMs() + maxDurationMs;
    this.#deadline = this.#deadline === undefined ? limit : Math.min(this.#deadline, limit);
  }

  #send(endpoint: Subchannel, cluster: WeightedCluster): void {
    this.#attempts += 1;
    const attempt = this.#start.telemetry.attempt(this.#attempts, endpoint.address);
    const { path, metadata } = this.#start.head;
    const routed = cluster.requestHeaders === undefined ? metadata : cluster.requestHeaders(metadata);
    const retries = this.#policyRetries;
    const changed: Metadata = retries === 0 ? routed : [...routed, ["grpc-previous-rpc-attempts", String(retries)]];
    const timeoutMs = remainingMs(this.#deadline, this.#env.clock);
    const head = { path, metadata: attempt.inject(changed), ...(timeoutMs === undefined ? {} : { timeoutMs }) };
    this.#attempt = attempt;
    this.#held = this.#unaryResponse ? { head: undefined, messages: [] } : undefined;
    const stream = endpoint.open(head, {
      head: (received) => {
        if (this.#over) return;
        const changed = cluster.responseHeaders === undefined ? received : cluster.responseHeaders(received);
        if (this.#held === undefined) this.#deliverHead(changed);
        else this.#held.head = changed;
      },
      message: (bytes) => {
        if (this.#over) return;
        attempt.received(bytes.byteLength);
        if (this.#held === undefined) this.#events.message(bytes);
        else this.#held.messages.push(bytes);
      },
      writable: () => {
        if (this.#over) return;
        this.#writeBlocked = false;
        this.#events.writable?.();
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
      this.#deliverHeld();
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
    const mayRetry = this.#start.idempotent && this.#env.limits.policyRetries;
    const policy = mayRetry ? (this.#route?.action.retry ?? idempotentRetry) : neverRetry;
    if (!policy.codes.has(outcome.status.code) || !this.#unaryRequest) return undefined;
    if (this.#policyRetries + 1 >= policy.maxAttempts) return undefined;
    const pushback = parsePushback(outcome.trailers);
    if (pushback.t === "stop" || !this.#env.budget.withdraw()) return undefined;
    const retry = this.#policyRetries++;
    return pushback.t === "wait" ? pushback.waitMs : retryWaitMs(policy, retry, this.#env.random);
  }

  get #unaryRequest(): boolean {
    return this.#start.kind === "unary" || this.#start.kind === "server_streaming";
  }

  get #unaryResponse(): boolean {
    return this.#start.kind === "unary" || this.#start.kind === "client_streaming";
  }

  #deliverHead(head: Metadata): void {
    this.#commit();
    this.#events.head(head);
  }

  #deliverHeld(): void {
    const held = this.#held;
    if (held === undefined) return;
    if (held.head !== undefined) this.#events.head(held.head);
    for (const message of held.messages) this.#events.message(message);
  }

  #commit(): void {
    if (this.#committed) return;
    this.#committed = true;
    this.#buffer.release();
  }

  /** Waits for the next snapshot, or the deadline. */
  #waitForChange(missing: string, kind: "config" | "endpoint"): void {
    this.#waitingFor = { missing, kind };
    const { clock, limits } = this.#env;
    if (kind === "config") this.#configLimit ??= clock.nowMs() + limits.maxConfigWaitMs;
    const leftMs = remainingMs(this.#deadline ?? (kind === "config" ? this.#configLimit : undefined), clock);
    const subscription = this.#env.snapshot.subscribe(() => this.#step());
    const timer = leftMs === undefined ? undefined : this.#timer(leftMs, () => this.#deadlinePassed());
    this.#wait = both(subscription, timer);
  }

  /** Every endpoint is down. When that is news, one that restarts is back soon: the call gives it a while. */
  #waitForEndpoint(message: string, downSinceMs: number): void {
    const patienceMs = downSinceMs + this.#env.limits.maxDownMs - this.#env.clock.nowMs();
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

function both(a: Disposable, b: Disposable | undefined): Disposable {
  return {
    [Symbol.dispose]() {
      a[Symbol.dispose]();
      b?.[Symbol.dispose]();
    },
  };
}
