import { eventually } from "@weft/foundation/testing";
import { anyKind, isRecord, type KubeClient, kinds } from "@weft/kube";
import { expect } from "vitest";
import { podsOf } from "../pods.js";
import type { RunningCalls, ScenarioCluster } from "./scenario-cluster.js";

const catalog = { namespace: "shop", name: "catalog" };

/** What one Pod is to serve, and the load: three Pods' worth, and little enough that nobody on the way is loaded. */
const perPod = 5;
const perSecond = 15;

/** Metrics are means over half a minute, windows come on top: a busy machine is given its time. */
const patient = { ceilingMs: 240_000, everyMs: 500 };

const autoscalers = anyKind({
  group: "autoscaling",
  version: "v2",
  kind: "HorizontalPodAutoscaler",
  plural: "horizontalpodautoscalers",
  namespaced: true,
});

/** Load on catalog scales catalog alone from 1 to 3 Pods, each of which then serves; without it, back to 1; no call is lost. */
export async function catalogScalesAlone(
  cluster: ScenarioCluster,
  startCalls: (perSecond: number) => Promise<RunningCalls>,
): Promise<void> {
  const { client } = cluster;
  const original = await client.get(autoscalers, catalog);
  await setSpec(client, {
    minReplicas: 1,
    maxReplicas: 3,
    metrics: [
      {
        type: "Pods",
        pods: {
          metric: { name: "grpc_server_calls_per_second" },
          target: { type: "AverageValue", averageValue: String(perPod) },
        },
      },
    ],
    behavior: {
      scaleUp: { stabilizationWindowSeconds: 0, policies: [{ type: "Percent", value: 100, periodSeconds: 5 }] },
      scaleDown: { stabilizationWindowSeconds: 15, policies: [{ type: "Percent", value: 100, periodSeconds: 5 }] },
    },
  });
  try {
    await replicasOfCatalog(client, 1);
    const others = await otherReplicas(client);
    const calls = await startCalls(perSecond);
    try {
      await replicasOfCatalog(client, 3);
      await everyPodServes(cluster);
    } catch (error) {
      await calls.stop();
      throw error;
    }
    expect(await otherReplicas(client)).toEqual(others);
    const { sent, failures } = await calls.stop();
    expect(failures.slice(0, 5)).toEqual([]);
    expect(sent).toBeGreaterThan(perSecond);
    await replicasOfCatalog(client, 1);
    expect(await otherReplicas(client)).toEqual(others);
    const { status } = await client.get(kinds.horizontalPodAutoscaler, catalog);
    expect(status?.conditions).toContainEqual(expect.objectContaining({ type: "ScalingActive", status: "True" }));
  } finally {
    await setSpec(client, { behavior: null, ...fromSpec(original["spec"]) });
  }
}

async function setSpec(client: KubeClient, spec: Readonly<Record<string, unknown>>): Promise<void> {
  await client.patch(autoscalers, catalog, { t: "merge", body: { spec } });
}

function fromSpec(spec: unknown): Readonly<Record<string, unknown>> {
  return isRecord(spec) ? spec : {};
}

/** Waits until catalog is to have so many Pods, and has them, ready. */
async function replicasOfCatalog(client: KubeClient, wanted: number): Promise<void> {
  await eventually(
    async () => {
      const { spec, status } = await client.get(kinds.deployment, catalog);
      return spec.replicas === wanted && status?.readyReplicas === wanted && status.replicas === wanted;
    },
    { ...patient, what: `catalog at ${wanted}` },
  );
}

/** How many Pods every Deployment but catalog is to have. */
async function otherReplicas(client: KubeClient): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const namespace of ["shop", "weft"]) {
    for (const { metadata, spec } of (await client.list(kinds.deployment, { namespace })).items) {
      if (namespace !== catalog.namespace || metadata.name !== catalog.name)
        counts[`${namespace}/${metadata.name}`] = spec.replicas ?? 1;
    }
  }
  return counts;
}

/** Waits until each Pod of catalog has served calls: the load moves to those that are new. */
async function everyPodServes(cluster: ScenarioCluster): Promise<void> {
  await eventually(
    async () => {
      const pods = await podsOf(cluster.client, catalog.namespace, catalog.name);
      const served = await Promise.all(pods.map((pod) => cluster.servedCalls(pod)));
      return served.length === 3 && served.every((count) => count > perPod);
    },
    { ...patient, what: "calls at each Pod of catalog" },
  );
}
