import { eventually } from "@weft/foundation/testing";
import { kinds } from "@weft/kube";
import { describe, expect, test } from "vitest";
import { kubeconfig, needsCluster } from "./environment.js";
import { patient, rolledOut } from "./hands.js";
import { unretriedGateway } from "./unretried-gateway.js";

describe.skipIf(kubeconfig === undefined)(`under 200 calls a second without policy retries ${needsCluster}`, () => {
  test("a restart of every Deployment, one after the other, fails none", async () => {
    await using gateway = await unretriedGateway();
    const { cluster } = gateway;
    // What is seen is of the test's own making.
    await eventually(
      async () => {
        const { items } = await cluster.client.list(kinds.pod);
        return items.every(({ metadata }) => metadata.deletionTimestamp === undefined);
      },
      { ...patient, what: "no Pod that ends" },
    );
    await using load = await gateway.loadFrom();
    for (const namespace of ["shop", "weft"]) {
      for (const { metadata } of (await cluster.client.list(kinds.deployment, { namespace })).items) {
        await cluster.kubectl(["rollout", "restart", `deployment/${metadata.name}`, "-n", namespace]);
        await rolledOut(namespace, metadata.name);
        const { failures, failed } = await load.soFar();
        const why = failures === 0 ? "" : await gateway.saidBy();
        expect(failed, `while ${metadata.name} was restarted; ${why}`).toEqual([]);
      }
    }
    const { failed, sent = 0 } = await load.stop();
    expect(failed).toEqual([]);
    expect(sent).toBeGreaterThan(2_000);
  }, 3_000_000);
});
