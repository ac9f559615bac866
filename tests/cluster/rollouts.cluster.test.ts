import { eventually } from "@weft/foundation/testing";
import { kinds } from "@weft/kube";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kubeconfig, needsCluster } from "./environment.js";
import { isReady, killContainer, nodesByPostgres, patient, podNow, restarted, rolledOut } from "./hands.js";
import type { ShopCluster } from "./shop-cluster.js";
import { type UnretriedGateway, unretriedGateway } from "./unretried-gateway.js";

describe.skipIf(kubeconfig === undefined)(`under 200 calls a second without policy retries ${needsCluster}`, () => {
  let gateway: UnretriedGateway;
  let cluster: ShopCluster;

  beforeAll(async () => {
    gateway = await unretriedGateway();
    cluster = gateway.cluster;
  }, 1_800_000);

  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
  }, 300_000);

  test("a Pod that is killed fails only the calls that it had", async () => {
    const [victim] = await cluster.podsOf("shop", "catalog");
    if (victim === undefined) throw new Error("catalog has no Pod");
    await using load = await gateway.loadFrom();
    const before = await load.soFar();
    await using _ = await killContainer(cluster.images, victim);
    await restarted(cluster.client, victim);
    const { failures, failed, mostInFlight, completed } = await load.stop();
    expect(failures, failed.slice(0, 5).join("\n")).toBeLessThanOrEqual(mostInFlight);
    expect(completed).toBeGreaterThan(before.completed);
  }, 400_000);

  test("a drained node fails none", async () => {
    const node = await nodesByPostgres(cluster);
    await using load = await gateway.loadFrom(node.with);
    try {
      // The tests' own Pods belong to nobody.
      const how = ["--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=400s"];
      await cluster.kubectl(["drain", node.without, ...how]);
      const left = (await cluster.client.list(kinds.pod, { namespace: "shop" })).items;
      expect(left.filter(({ spec, status }) => spec.nodeName === node.without && status?.phase === "Running")).toEqual(
        [],
      );
      expect((await load.soFar()).failed).toEqual([]);
    } finally {
      await cluster.kubectl(["uncordon", node.without]);
    }
    await cluster.allReady();
    expect((await load.stop()).failed).toEqual([]);
  }, 600_000);

  test("a rollout that never gets ready takes no call, and undo restores", async () => {
    const old = (await cluster.podsOf("shop", "catalog")).map((pod) => pod.metadata.uid);
    await using load = await gateway.loadFrom();
    // Nobody listens there: the new Pod waits for its config, alive and not ready.
    await cluster.kubectl(["set", "env", "deployment/catalog", "-n", "shop", "WEFT_CONTROL_PLANE=127.0.0.1:1"]);
    try {
      const fresh = await eventually(
        async () => {
          const pods = await cluster.podsOf("shop", "catalog");
          return pods.find((pod) => !old.includes(pod.metadata.uid) && pod.status?.phase === "Running");
        },
        { ...patient, what: "a new Pod that runs" },
      );
      await eventually(async () => (await cluster.logs(fresh)).includes("ports are open"), patient);
      const { completed } = await load.soFar();
      await eventually(async () => (await load.soFar()).completed > completed + 1_000, patient);
      const now = await podNow(cluster.client, fresh);
      expect(isReady(now)).toBe(false);
      expect(await cluster.servedCalls(now)).toBe(0);
      const uids = (await cluster.podsOf("shop", "catalog")).map((pod) => pod.metadata.uid);
      expect(uids).toEqual(expect.arrayContaining(old));
    } finally {
      await cluster.kubectl(["rollout", "undo", "deployment/catalog", "-n", "shop"]);
    }
    await rolledOut("shop", "catalog");
    await cluster.ready("shop", "catalog");
    expect(await cluster.kubectl(["get", "deployment/catalog", "-n", "shop", "-o", "yaml"])).not.toContain(
      "127.0.0.1:1",
    );
    expect((await load.stop()).failed).toEqual([]);
  }, 600_000);
});
