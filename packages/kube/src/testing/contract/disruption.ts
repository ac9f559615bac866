import { eventually } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { kinds } from "../../kinds/index.js";
import { at, type ContractWorld, refusalOf, send } from "./fixture.js";

/** Budgets of disruption and the evictions that heed them; leases. */
export function disruptionContract(world: ContractWorld): void {
  const ref = (name: string) => ({ namespace: world.namespace, name });
  const evict = (name: string, named = name) =>
    send(world, {
      method: "POST",
      path: `/api/v1/namespaces/${world.namespace}/pods/${name}/eviction`,
      body: { apiVersion: "policy/v1", kind: "Eviction", metadata: ref(named) },
    });
  /** A Pod that no scheduler takes: its status stays what is written here. */
  const pod = async (name: string, running: boolean): Promise<void> => {
    await world.client.create(kinds.pod, {
      metadata: { ...ref(name), labels: { budget: name.replace(/-\d$/, "") } },
      spec: { schedulerName: "nobody", containers: [{ name: "main", image: "registry.invalid/main:1" }] },
    });
    if (!running) return;
    const conditions = [{ type: "Ready", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z" }];
    const body = { status: { phase: "Running", conditions } };
    await world.client.patch(kinds.pod, ref(name), { t: "merge", body }, { subresource: "status" });
  };
  /** A budget whose status is what a controller makes of its Pods, whether there is one here or not. */
  const budget = async (name: string, healthy: number): Promise<void> => {
    const made = await world.client.create(kinds.podDisruptionBudget, {
      metadata: ref(name),
      spec: { minAvailable: 1, selector: { matchLabels: { budget: name } } },
    });
    const status = {
      observedGeneration: made.metadata.generation,
      expectedPods: healthy,
      currentHealthy: healthy,
      desiredHealthy: 1,
      disruptionsAllowed: healthy - 1,
      conditions: [],
    };
    await world.client.patch(
      kinds.podDisruptionBudget,
      ref(name),
      { t: "merge", body: { status } },
      { subresource: "status" },
    );
    await eventually(
      async () => {
        const found = (await world.client.get(kinds.podDisruptionBudget, ref(name))).status;
        return at(found, "currentHealthy") === healthy && at(found, "disruptionsAllowed") === healthy - 1;
      },
      { ceilingMs: 30_000, what: `the budget ${name} counted` },
    );
  };

  test("an eviction that a budget can't spare is refused until it can", async () => {
    await pod("spare-1", true);
    await pod("spare-2", true);
    await budget("spare", 2);
    expect((await evict("spare-1")).json).toMatchObject({ kind: "Status", status: "Success" });
    const refused = await evict("spare-2");
    expect(refused.json).toMatchObject({
      code: 429,
      reason: "TooManyRequests",
      message: "Cannot evict pod as it would violate the pod's disruption budget.",
    });
    expect(at(refused.json, "details", "causes", 0, "reason")).toBe("DisruptionBudget");
    expect((await world.client.get(kinds.pod, ref("spare-2"))).metadata.deletionTimestamp).toBeUndefined();
    await world.client.delete(kinds.podDisruptionBudget, ref("spare"));
    expect((await evict("spare-2")).code).toBe(201);
  });

  test("a Pod that has not begun is evicted whatever its budget says", async () => {
    await pod("pending-1", false);
    await world.client.create(kinds.podDisruptionBudget, {
      metadata: ref("pending"),
      spec: { minAvailable: 1, selector: { matchLabels: { budget: "pending" } } },
    });
    expect((await evict("pending-1", "other")).code).toBe(400);
    expect((await evict("pending-1")).code).toBe(201);
    expect(await refusalOf(world.client.get(kinds.pod, ref("pending-1")))).toMatchObject({ code: 404 });
    expect((await evict("pending-1")).code).toBe(404);
  });

  test("a budget has one bound, and no share below nothing", async () => {
    const selector = { matchLabels: { budget: "bounds" } };
    const make = (spec: object) =>
      refusalOf(
        world.client.create(kinds.podDisruptionBudget, { metadata: ref("bounds"), spec: { selector, ...spec } }),
      );
    expect(await make({ minAvailable: 1, maxUnavailable: 1 })).toMatchObject({ code: 422, reason: "Invalid" });
    expect((await make({ maxUnavailable: -1 })).details?.causes).toContainEqual(
      expect.objectContaining({ field: "spec.maxUnavailable" }),
    );
    expect((await make({ minAvailable: "half" })).details?.causes).toContainEqual(
      expect.objectContaining({ field: "spec.minAvailable" }),
    );
  });

  test("of two that renew a lease by the same version one is refused, and microseconds are kept", async () => {
    const renewTime = "2026-01-01T00:00:00.123456Z";
    const lease = await world.client.create(kinds.lease, {
      metadata: ref("lead"),
      spec: { holderIdentity: "one", leaseDurationSeconds: 15, renewTime, leaseTransitions: 0 },
    });
    expect(lease.spec?.renewTime).toBe(renewTime);
    const take = (holderIdentity: string) =>
      world.client.replace(kinds.lease, { ...lease, spec: { ...lease.spec, holderIdentity } });
    const outcomes = await Promise.allSettled([take("two"), take("three")]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const lost = outcomes.find((outcome) => outcome.status === "rejected");
    expect(lost?.reason).toMatchObject({ code: 409, reason: "Conflict", decision: "conflict" });
    const endless = await refusalOf(
      world.client.create(kinds.lease, { metadata: ref("endless"), spec: { leaseDurationSeconds: 0 } }),
    );
    expect(endless).toMatchObject({ code: 422, reason: "Invalid" });
  });
}
