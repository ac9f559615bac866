import { type Clock, silentLogger } from "@weft/foundation";
import { eventually, FakeClock } from "@weft/foundation/testing";
import { type KubeClient, kinds } from "@weft/kube";
import { expect, test } from "vitest";
import { type MiniKube, startMiniKube } from "../testing/mini-kube.js";
import { type LeaderElection, startLeaderElection } from "./leader-election.js";

const soon = { ceilingMs: 10_000, everyMs: 5 };
const ref = { namespace: "weft", name: "control-plane" };

function candidate(client: KubeClient, identity: string, clock: FakeClock): LeaderElection {
  return startLeaderElection({ client, lease: ref, identity, clock, logger: silentLogger });
}

const leaseOf = (kube: MiniKube) => kube.get(kinds.lease, ref.name, ref.namespace)?.spec;

/** Lets so much time pass, in steps, with the real requests of each step done before the next. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 500) {
    await clock.advance(500);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}

test("one of several leads, and another takes over at once from one that goes", async () => {
  await using kube = await startMiniKube();
  const clock = new FakeClock();
  const all = ["a", "b", "c"].map((name) => candidate(kube.connect(), name, clock));
  const leaders = () => all.filter(({ leading }) => leading.value);
  await eventually(() => leaders().length === 1, soon);
  await pass(clock, 20_000);
  expect(leaders()).toHaveLength(1);
  const [first] = leaders();
  await first?.[Symbol.asyncDispose]();
  expect(leaseOf(kube)?.holderIdentity).toBeUndefined();
  await eventually(async () => {
    await clock.advance(500);
    return leaders().length === 1;
  }, soon);
  expect(leaders()[0]).not.toBe(first);
  expect(leaseOf(kube)?.leaseTransitions).toBe(1);
  for (const each of all) await each[Symbol.asyncDispose]();
});

test("a holder that gives no sign of life is replaced after the Lease's duration by our clock, not by its own", async () => {
  await using kube = await startMiniKube();
  const spec = { holderIdentity: "dead", leaseDurationSeconds: 15, renewTime: "2099-01-01T00:00:00.000000Z" };
  kube.put(kinds.lease, { metadata: ref, spec });
  const clock = new FakeClock();
  await using next = candidate(kube.client, "next", clock);
  await pass(clock, 14_000);
  expect(next.leading.value).toBe(false);
  await pass(clock, 4_000);
  await eventually(() => next.leading.value, soon);
});

test("who can't renew steps down before anybody else may take over", async () => {
  await using kube = await startMiniKube();
  const clock = new FakeClock();
  await using leader = candidate(kube.client, "a", clock);
  await eventually(() => leader.leading.value, soon);
  kube.setAway(true);
  await pass(clock, 12_000);
  expect(leader.leading.value).toBe(false);
  kube.setAway(false);
  await eventually(async () => {
    await clock.advance(500);
    return leader.leading.value;
  }, soon);
});

test("who finds another's name on the Lease stops leading", async () => {
  await using kube = await startMiniKube();
  const clock = new FakeClock();
  await using leader = candidate(kube.client, "a", clock);
  await eventually(() => leader.leading.value, soon);
  kube.put(kinds.lease, { metadata: ref, spec: { holderIdentity: "b", leaseDurationSeconds: 15 } });
  await eventually(async () => {
    await clock.advance(500);
    return !leader.leading.value;
  }, soon);
});

test("a process that comes back under its own name goes on without waiting", async () => {
  await using kube = await startMiniKube();
  kube.put(kinds.lease, { metadata: ref, spec: { holderIdentity: "a", leaseDurationSeconds: 15 } });
  await using again = candidate(kube.client, "a", new FakeClock());
  await eventually(() => again.leading.value, soon);
});

test("an answer that comes after the Lease would have run out makes nobody lead: another may have taken over", async () => {
  await using kube = await startMiniKube();
  const fake = new FakeClock();
  let lateMs = 0;
  const clock: Clock = {
    nowMs: () => fake.nowMs() + lateMs,
    wallMs: () => fake.wallMs() + lateMs,
    after: (delayMs, fire) => fake.after(delayMs, fire),
  };
  kube.interfere(() => {
    lateMs = 16_000;
  });
  await using late = startLeaderElection({
    client: kube.client,
    lease: ref,
    identity: "a",
    clock,
    logger: silentLogger,
  });
  const led: boolean[] = [];
  using _watching = late.leading.subscribe((isLeading) => led.push(isLeading));
  await eventually(() => leaseOf(kube)?.holderIdentity === "a", soon);
  await pass(fake, 5_000);
  expect(led).toEqual([true]);
});
