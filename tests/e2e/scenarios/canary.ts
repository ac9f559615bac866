import { eventually } from "@weft/foundation/testing";
import { type AnyObject, anyKind, isKubeError, type KubeClient, kinds } from "@weft/kube";
import { expect } from "vitest";
import { deploymentReady, podsOf } from "../pods.js";
import { steadyCalls } from "../steady.js";
import { type ScenarioCluster, servedBy } from "./scenario-cluster.js";

const namespace = "shop";
const applied = { fieldManager: "e2e", force: true } as const;

/** Calls of catalog's GetProduct through the gateway, without and with the canary's header `x-canary: yes`. */
export interface CanaryCalls {
  plain(): Promise<unknown>;
  withHeader(): Promise<unknown>;
}

/** A tenth of the calls goes to a second version of catalog, its header rule beats the weights, and no call fails while it comes and goes. */
export async function canaryTakesItsShare(cluster: ScenarioCluster, calls: CanaryCalls): Promise<void> {
  const { client } = cluster;
  try {
    await deployCatalogNext(client);
    const whileApplied = steadyCalls(calls.plain, 50);
    await applyCanary(client, { catalog: 90, next: 10 });
    await canaryInForce(cluster, calls.withHeader);
    expect((await whileApplied.stop()).failures).toEqual([]);

    const share = await shareOfNext(cluster, 2_000, calls.plain);
    expect(share).toBeGreaterThan(0.07);
    expect(share).toBeLessThan(0.13);
    expect(await shareOfNext(cluster, 100, calls.withHeader)).toBe(1);

    const whileRemoved = steadyCalls(calls.plain, 50);
    await removeCanary(client);
    expect((await whileRemoved.stop()).failures).toEqual([]);
  } finally {
    await removeCanary(client);
  }
}

/** A second version of catalog beside the first: same image and settings, a name of its own, and every edge that catalog has. */
async function deployCatalogNext(client: KubeClient): Promise<void> {
  for (const policy of await policiesOfCatalog(client)) {
    const ref = { namespace: policy.metadata.namespace ?? namespace, name: nameForNext(policy) };
    await client.patch(policies, ref, { t: "apply", body: renamed(policy, ref.name), ...applied });
  }
  for (const kind of [deployments, services]) {
    const original = await client.get(kind, { namespace, name: "catalog" });
    const ref = { namespace, name: "catalog-next" };
    await client.patch(kind, ref, { t: "apply", body: renamed(original, ref.name), ...applied });
  }
  await deploymentReady(client, namespace, "catalog-next");
}

const deployments = anyKind({
  group: "apps",
  version: "v1",
  kind: "Deployment",
  plural: "deployments",
  namespaced: true,
});
const services = anyKind({ group: "", version: "v1", kind: "Service", plural: "services", namespaced: true });
const policies = anyKind({
  group: "networking.k8s.io",
  version: "v1",
  kind: "NetworkPolicy",
  plural: "networkpolicies",
  namespaced: true,
});

/** Every policy that names catalog, on either end. A copy that names the new version instead only adds to what is allowed. */
async function policiesOfCatalog(client: KubeClient): Promise<readonly AnyObject[]> {
  const { items } = await client.list(policies);
  return items.filter(
    (policy) =>
      JSON.stringify(policy["spec"]).includes(`"app.kubernetes.io/name":"catalog"`) &&
      !policy.metadata.name.endsWith(suffix),
  );
}

const suffix = "-for-catalog-next";
const nameForNext = (policy: AnyObject): string => `${policy.metadata.name}${suffix}`;

/** A copy under a new name that says `catalog-next` where the original says catalog, with none of what the server wrote. */
function renamed(object: AnyObject, name: string): unknown {
  const copy: Record<string, unknown> = JSON.parse(
    JSON.stringify(object).replaceAll(`"app.kubernetes.io/name":"catalog"`, `"app.kubernetes.io/name":"catalog-next"`),
  );
  const labels = { "app.kubernetes.io/name": "catalog-next" };
  copy["metadata"] = { name, namespace: object.metadata.namespace ?? namespace, labels };
  delete copy["status"];
  const spec = parseRecord(copy["spec"]);
  if (object.kind === "Deployment") spec["replicas"] = 1;
  for (const address of ["clusterIP", "clusterIPs"]) delete spec[address];
  return copy;
}

function parseRecord(value: unknown): Record<string, unknown> {
  return value as Record<string, unknown>;
}

/** Applies the route of the canary with these weights; the header `x-canary: yes` always goes to the new version. */
async function applyCanary(
  client: KubeClient,
  weights: { readonly catalog: number; readonly next: number },
): Promise<void> {
  const body = {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "GRPCRoute",
    metadata: { name: "catalog-canary", namespace },
    spec: {
      parentRefs: [{ group: "", kind: "Service", name: "catalog" }],
      rules: [
        {
          matches: [{ headers: [{ name: "x-canary", value: "yes" }] }],
          backendRefs: [{ name: "catalog-next", port: 8080 }],
        },
        {
          backendRefs: [
            { name: "catalog", port: 8080, weight: weights.catalog },
            { name: "catalog-next", port: 8080, weight: weights.next },
          ],
        },
      ],
    },
  };
  await client.patch(kinds.grpcRoute, { namespace, name: "catalog-canary" }, { t: "apply", body, ...applied });
  await eventually(
    async () => {
      const route = await client.get(kinds.grpcRoute, { namespace, name: "catalog-canary" });
      const conditions = route.status?.parents?.flatMap((parent) => parent.conditions ?? []) ?? [];
      return ["Accepted", "ResolvedRefs"].every((type) =>
        conditions.some(
          (condition) =>
            condition.type === type &&
            condition.status === "True" &&
            condition.observedGeneration === route.metadata.generation,
        ),
      );
    },
    { ceilingMs: 30_000, what: "the canary route accepted" },
  );
}

/** Sends calls and gives the share that the new version served, by the Pods' own counts. */
async function shareOfNext(cluster: ScenarioCluster, calls: number, call: () => Promise<unknown>): Promise<number> {
  const before = {
    old: await servedBy(cluster, namespace, "catalog"),
    next: await servedBy(cluster, namespace, "catalog-next"),
  };
  for (let sent = 0; sent < calls; sent += 20)
    await Promise.all(Array.from({ length: Math.min(20, calls - sent) }, call));
  const old = (await servedBy(cluster, namespace, "catalog")) - before.old;
  const next = (await servedBy(cluster, namespace, "catalog-next")) - before.next;
  expect(old + next).toBe(calls);
  return next / calls;
}

/** Waits until a call with the canary's header arrives at the new version: the route is in force at the caller. */
async function canaryInForce(cluster: ScenarioCluster, callWithHeader: () => Promise<unknown>): Promise<void> {
  await eventually(
    async () => {
      const before = await servedBy(cluster, namespace, "catalog-next");
      await callWithHeader();
      return (await servedBy(cluster, namespace, "catalog-next")) > before;
    },
    { ceilingMs: 30_000, what: "the canary route in force" },
  );
}

/** Takes the canary away again: its route first, so that nobody is sent to Pods that end. */
async function removeCanary(client: KubeClient): Promise<void> {
  await gone(client.delete(kinds.grpcRoute, { namespace, name: "catalog-canary" }));
  await gone(client.delete(kinds.service, { namespace, name: "catalog-next" }));
  await gone(client.delete(kinds.deployment, { namespace, name: "catalog-next" }));
  await eventually(async () => (await podsOf(client, namespace, "catalog-next")).length === 0, {
    ceilingMs: 60_000,
    what: "the canary's Pods gone",
  });
  for (const { metadata } of (await client.list(policies)).items) {
    if (!metadata.name.endsWith(suffix)) continue;
    await gone(client.delete(policies, { namespace: metadata.namespace ?? namespace, name: metadata.name }));
  }
}

/** Deleted, or not there. */
async function gone(deletion: Promise<void>): Promise<void> {
  try {
    await deletion;
  } catch (error) {
    if (!isKubeError(error, "not-found")) throw error;
  }
}
