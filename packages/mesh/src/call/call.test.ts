import { type Watch, WatchSource } from "@weft/foundation";
import { FakeClock } from "@weft/foundation/testing";
import { type Metadata, type Status, StatusCode } from "@weft/wire";
import { expect, test } from "vitest";
import { leastRequest } from "../balancer/least-request.js";
import type { Balancer } from "../balancer/picker.js";
import { roundRobin } from "../balancer/round-robin.js";
import { EndpointSet } from "../resolver/endpoint-set.js";
import type { ForwardAction, VirtualHost } from "../route/route.js";
import { type ClusterView, emptySnapshot, type Snapshot, type TargetView } from "../snapshot/snapshot.js";
import { SubchannelPool } from "../subchannel/pool.js";
import { createTelemetry } from "../telemetry/telemetry.js";
import { ScriptedTransport } from "../testing/scripted-transport.js";
import { Call, type CallStart, defaultCallLimits } from "./call.js";
import { createRetryBudget } from "./retry-budget.js";
import type { RetryPolicy } from "./retry-policy.js";

interface Recorded {
  heads: Metadata[];
  messages: Uint8Array[];
  status: Status | undefined;
  writable: number;
}

/** Two endpoints, a, b, under one cluster that every call goes to. */
function start(
  options: {
    readonly balancer?: Balancer;
    readonly random?: () => number;
    readonly ready?: boolean;
    readonly budgetMin?: number;
    readonly action?: Partial<ForwardAction>;
    readonly policyRetries?: boolean;
  } = {},
) {
  const transport = new ScriptedTransport({ autoUp: options.ready ?? true });
  const clock = new FakeClock();
  const pool = new SubchannelPool({ transport, clock, random: () => 0.5 });
  const snapshot = new WatchSource<Snapshot>(emptySnapshot);
  const forward = {
    t: "forward",
    clusters: [{ name: "c", weight: 1, requestHeaders: undefined, responseHeaders: undefined }],
    totalWeight: 1,
    retry: undefined,
    maxDurationMs: undefined,
    ...options.action,
  } as const;
  const host: VirtualHost = { name: "h", domains: ["*"], routes: [{ name: "", matches: () => true, action: forward }] };
  const target: TargetView = { t: "ready", host };
  const publish = (): void => {
    const cluster: ClusterView = set.view ?? { t: "pending", missing: "endpoints" };
    snapshot.set({ targets: new Map([["t", target]]), clusters: new Map([["c", cluster]]), serverReasons: [] });
  };
  const set: EndpointSet = new EndpointSet({ pool, clock, random: () => 0, onChange: publish });
  const endpoints = ["a", "b"].map((name) => ({ host: name, port: 1, priority: 0, pinged: true }));
  const resolve = (): void => set.update(endpoints, options.balancer ?? roundRobin, 5_000);
  if (options.ready ?? true) resolve();
  const budget = createRetryBudget({ clock, share: 0, minPerSecond: options.budgetMin ?? 10 });
  const call = (
    more: { idempotent?: boolean; deadline?: number; kind?: CallStart["kind"]; watch?: Watch<Snapshot> } = {},
  ) => {
    const recorded: Recorded = { heads: [], messages: [], status: undefined, writable: 0 };
    const telemetry = createTelemetry({ clock }).clientCall({ path: "/s.S/M", target: "t", host: "t" });
    const made = new Call(
      {
        target: "t",
        snapshot: more.watch ?? snapshot,
        clock,
        random: options.random ?? (() => 0.5),
        budget,
        limits: { ...defaultCallLimits, policyRetries: options.policyRetries ?? true },
      },
      {
        head: { path: "/s.S/M", metadata: [["x-a", "1"]] },
        deadline: more.deadline,
        idempotent: more.idempotent ?? true,
        kind: more.kind ?? "unary",
        telemetry,
      },
      {
        head: (metadata) => void recorded.heads.push(metadata),
        message: (bytes) => void recorded.messages.push(bytes),
        writable: () => {
          recorded.writable += 1;
        },
        end: (status) => {
          expect(recorded.status).toBeUndefined();
          recorded.status = status;
        },
      },
    );
    return { call: made, recorded };
  };
  const unary = (more: Parameters<typeof call>[0] = {}) => {
    const { call: made, recorded } = call(more);
    made.write(new Uint8Array([1]));
    made.end();
    made.read(2);
    made.begin();
    return { call: made, recorded };
  };
  return { transport, clock, snapshot, set, resolve, call, unary, streams: transport.streams };
}

test("UNAVAILABLE is tried again elsewhere after the back-off, with the whole request", async () => {
  const { unary, streams, clock } = start();
  const { recorded } = unary();
  streams[0]?.fail(StatusCode.unavailable);
  await clock.advance(49);
  expect(streams).toHaveLength(1);
  await clock.advance(1);
  expect(streams.map(({ address }) => address)).toEqual(["a:1", "b:1"]);
  expect(streams[1]).toMatchObject({ written: [new Uint8Array([1])], halfClosed: true, granted: 2 });
  expect(streams.map(({ head }) => head.metadata)).toEqual([
    [["x-a", "1"]],
    [
      ["x-a", "1"],
      ["grpc-previous-rpc-attempts", "1"],
    ],
  ]);
  streams[1]?.answer(new Uint8Array([9]));
  expect(recorded).toMatchObject({ messages: [new Uint8Array([9])], status: { code: StatusCode.ok } });
  expect(clock.pendingTimers).toBe(0);
});

test("an attempt after a failed one goes elsewhere even where the balancer would stay", async () => {
  const { unary, streams, clock } = start({ balancer: leastRequest(2) });
  unary();
  streams[0]?.fail(StatusCode.unavailable);
  await clock.advance(50);
  expect(streams.map(({ address }) => address)).toEqual(["a:1", "b:1"]);
});

test("three attempts are the most, and waits double", async () => {
  const { unary, streams, clock } = start();
  const { recorded } = unary();
  streams[0]?.fail(StatusCode.unavailable);
  await clock.advance(50);
  streams[1]?.fail(StatusCode.unavailable);
  await clock.advance(99);
  expect(streams).toHaveLength(2);
  await clock.advance(1);
  streams[2]?.fail(StatusCode.unavailable);
  expect(recorded.status?.code).toBe(StatusCode.unavailable);
  await clock.advance(10_000);
  expect(streams).toHaveLength(3);
});

test("a method that is not declared idempotent is not tried again once the server may have seen it", () => {
  const { unary, streams } = start();
  const { recorded } = unary({ idempotent: false });
  streams[0]?.fail(StatusCode.unavailable);
  expect(recorded.status?.code).toBe(StatusCode.unavailable);
});

test("without policy retries only what was not processed is tried again", () => {
  const { unary, streams } = start({ policyRetries: false });
  const { recorded } = unary();
  streams[0]?.fail(StatusCode.unavailable, { processed: false });
  expect(streams).toHaveLength(2);
  streams[1]?.fail(StatusCode.unavailable);
  expect(recorded.status?.code).toBe(StatusCode.unavailable);
});

test("a stream that was provably not processed is tried again at once, for any method, outside the budget", async () => {
  const { unary, streams, clock } = start({ budgetMin: 0 });
  const { recorded } = unary({ idempotent: false });
  streams[0]?.fail(StatusCode.unavailable, { processed: false });
  expect(streams.map(({ address }) => address)).toEqual(["a:1", "b:1"]);
  for (let n = 1; n < 12; n += 1) {
    streams[n]?.fail(StatusCode.unavailable, { processed: false });
    await clock.advance(400);
  }
  expect(streams).toHaveLength(13);
  streams[12]?.answer(new Uint8Array([1]));
  expect(recorded.status?.code).toBe(StatusCode.ok);
});

test("a unary response that breaks off is as good as none: the call is tried again, and the caller sees one response", async () => {
  const { unary, streams, clock } = start();
  const { recorded } = unary();
  streams[0]?.sendHead([["x-from", "first"]]);
  streams[0]?.sendMessage(new Uint8Array([1]));
  streams[0]?.fail(StatusCode.unavailable);
  await clock.advance(50);
  streams[1]?.answer(new Uint8Array([2]));
  expect(recorded).toMatchObject({ heads: [[]], messages: [new Uint8Array([2])], status: { code: StatusCode.ok } });
});

test("after a stream of responses has begun nothing is tried again", () => {
  const { unary, streams } = start();
  const { recorded } = unary({ kind: "server_streaming" });
  streams[0]?.sendHead();
  streams[0]?.fail(StatusCode.unavailable);
  expect(recorded.status?.code).toBe(StatusCode.unavailable);
  expect(streams).toHaveLength(1);
});

test("other codes are not tried again", () => {
  const { unary, streams } = start();
  for (const code of [StatusCode.internal, StatusCode.deadlineExceeded, StatusCode.resourceExhausted]) {
    const { recorded } = unary();
    streams.at(-1)?.fail(code);
    expect(recorded.status?.code).toBe(code);
  }
});

test("a spent budget ends retries until time or calls have filled it", async () => {
  const { unary, streams, clock } = start({ budgetMin: 2 });
  for (let n = 0; n < 3; n += 1) {
    const { recorded } = unary();
    streams.at(-1)?.fail(StatusCode.unavailable);
    expect(recorded.status?.code).toBe(n < 2 ? undefined : StatusCode.unavailable);
  }
  await clock.advance(1_000);
  const { recorded } = unary();
  streams.at(-1)?.fail(StatusCode.unavailable);
  expect(recorded.status).toBeUndefined();
});

test("the server's pushback sets the wait, or forbids the retry", async () => {
  const { unary, streams, clock } = start();
  unary();
  streams[0]?.fail(StatusCode.unavailable, { trailers: [["grpc-retry-pushback-ms", "700"]] });
  await clock.advance(699);
  expect(streams).toHaveLength(1);
  await clock.advance(1);
  expect(streams).toHaveLength(2);
  const { recorded } = unary();
  streams[2]?.fail(StatusCode.unavailable, { trailers: [["grpc-retry-pushback-ms", "-1"]] });
  expect(recorded.status?.code).toBe(StatusCode.unavailable);
});

test("a retry that could not start before the deadline is not waited for", async () => {
  const { unary, streams } = start();
  const { recorded } = unary({ deadline: 40 });
  streams[0]?.fail(StatusCode.unavailable);
  expect(recorded.status).toMatchObject({ code: StatusCode.unavailable });
});

test("each attempt gets the time that is left, not the time there was", async () => {
  const { unary, streams, clock } = start();
  unary({ deadline: 1_000 });
  await clock.advance(100);
  streams[0]?.fail(StatusCode.unavailable);
  await clock.advance(50);
  expect(streams.map(({ head }) => head.timeoutMs)).toEqual([1_000, 850]);
});

test("a request larger than the buffer is sent whole, once", async () => {
  const { call: make, streams } = start();
  const { call, recorded } = make();
  call.begin();
  call.write(new Uint8Array(200 * 1024));
  call.write(new Uint8Array(100 * 1024));
  call.write(new Uint8Array(1));
  call.end();
  expect(streams[0]?.written.map(({ byteLength }) => byteLength)).toEqual([200 * 1024, 100 * 1024, 1]);
  streams[0]?.fail(StatusCode.unavailable, { processed: false });
  expect(recorded.status?.code).toBe(StatusCode.unavailable);
});

test("what is written before there is an endpoint is sent when there is one, and the writer is told of room", () => {
  const { call: make, streams, transport, resolve } = start({ ready: false });
  const { call, recorded } = make();
  call.begin();
  expect(call.write(new Uint8Array(200 * 1024))).toBe(true);
  expect(call.write(new Uint8Array(200 * 1024))).toBe(false);
  resolve();
  transport.connections[0]?.up();
  expect(streams[0]?.written).toHaveLength(2);
  expect(recorded.writable).toBe(1);
});

test("a call that waits for a connection ends at its deadline and leaves nothing behind", async () => {
  const { unary, clock, resolve } = start({ ready: false });
  const { recorded } = unary({ deadline: 500 });
  resolve();
  await clock.advance(499);
  expect(recorded.status).toBeUndefined();
  await clock.advance(1);
  expect(recorded.status).toEqual({
    code: StatusCode.deadlineExceeded,
    message: 'deadline exceeded while waiting for a connection to cluster "c"',
  });
  expect(clock.pendingTimers).toBe(0);
});

test("when every endpoint has gone down calls give them ten seconds, then say which and why, and fail at once", async () => {
  const { unary, clock, transport, resolve } = start({ ready: false });
  resolve();
  const refuseAll = (): void => {
    for (const connection of transport.connections)
      if (connection.state.value.t === "connecting") connection.lose("refused");
  };
  refuseAll();
  await clock.advance(1_000);
  const { recorded } = unary();
  for (let n = 0; n < 200 && recorded.status === undefined; n += 1) {
    await clock.advance(100);
    refuseAll();
  }
  expect(recorded.status?.code).toBe(StatusCode.unavailable);
  expect(recorded.status?.message).toContain("refused");
  expect(clock.nowMs()).toBe(10_000);
  expect(unary().recorded.status?.code).toBe(StatusCode.unavailable);
});

test("cancelling resets the stream and tells the caller once; what comes later is dropped", () => {
  const { unary, streams } = start();
  const { call, recorded } = unary();
  call.cancel({ code: StatusCode.cancelled, message: "enough" });
  call.cancel({ code: StatusCode.cancelled, message: "again" });
  expect(streams[0]?.resetWith?.message).toBe("enough");
  expect(recorded.status).toEqual({ code: StatusCode.cancelled, message: "enough" });
});

test("a route's own retry policy and longest duration count", async () => {
  const policy: RetryPolicy = { maxAttempts: 2, codes: new Set([StatusCode.internal]), baseMs: 10, maxMs: 10 };
  const { unary, streams, clock } = start({ action: { retry: policy, maxDurationMs: 300 } });
  unary();
  expect(streams[0]?.head.timeoutMs).toBe(300);
  streams[0]?.fail(StatusCode.internal);
  await clock.advance(10);
  expect(streams).toHaveLength(2);
  const { recorded } = unary({ idempotent: false });
  streams[2]?.fail(StatusCode.internal);
  expect(recorded.status?.code).toBe(StatusCode.internal);
});

test("a call whose target is ready reads the snapshot and does not watch it", () => {
  const { snapshot, unary, streams } = start();
  let subscriptions = 0;
  const watch: Watch<Snapshot> = {
    get value() {
      return snapshot.value;
    },
    subscribe: (listener) => {
      subscriptions += 1;
      return snapshot.subscribe(listener);
    },
    changes: (signal) => snapshot.changes(signal),
    until: () => Promise.reject(new Error("the call path waits")),
  };
  const { recorded } = unary({ watch });
  // The request is on its way before anything else had a chance to run.
  expect(streams).toHaveLength(1);
  streams[0]?.answer(new Uint8Array([1]));
  expect(recorded.status?.code).toBe(StatusCode.ok);
  expect(subscriptions).toBe(0);
});

test("a call keeps to the cluster that its weights gave it, however often it has to wait", async () => {
  let draws = 0;
  const cluster = (name: string) => ({ name, weight: 1, requestHeaders: undefined, responseHeaders: undefined });
  const { unary, clock, resolve, transport, snapshot } = start({
    ready: false,
    action: { clusters: [cluster("c"), cluster("other")], totalWeight: 2 },
    random: () => {
      draws += 1;
      return 0.1;
    },
  });
  unary();
  resolve();
  const drawn = draws;
  expect(drawn).toBeGreaterThan(0);
  for (let n = 0; n < 5; n += 1) snapshot.set({ ...snapshot.value });
  await clock.advance(10);
  expect(draws).toBe(drawn);
  transport.connections[0]?.up();
  expect(transport.streams).toHaveLength(1);
});

test("a writer that waits for room on an attempt that is refused is told when the next one has room", () => {
  const { call, streams } = start();
  const { call: made, recorded } = call({ kind: "client_streaming" });
  made.begin();
  const [first] = streams;
  if (first === undefined) throw new Error("no stream");
  first.room = false;
  expect(made.write(new Uint8Array(1_000))).toBe(false);
  first.fail(StatusCode.unavailable, { processed: false });
  expect(streams).toHaveLength(2);
  expect(recorded.writable).toBe(1);
});

test("a call without a deadline waits for its first configuration 30 s in all, however often something else changes", async () => {
  const { clock, snapshot, unary } = start({ ready: false });
  const { recorded } = unary();
  for (let second = 0; second < 31; second += 1) {
    snapshot.set({ ...snapshot.value });
    await clock.advance(1_000);
  }
  expect(recorded.status?.code).toBe(StatusCode.unavailable);
});
