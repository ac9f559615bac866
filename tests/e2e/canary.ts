import { eventually } from "@weft/foundation/testing";
import { type AnyObject, anyKind, type KubeClient, kinds } from "@weft/kube";
import { expect } from "vitest";
import { deploymentReady, podsOf, servedBy } from "./pods.js";

const namespace = "shop";
const applied = { fieldManager: "e2e", force: true } as const;

/** A second version of catalog beside the first: same image and settings, a name of its own. */
export async function deployCatalogNext(client: KubeClient): Promise<void> {
  const deployments = anyKind({
    group: "apps",
    version: "v1",
    kind: "Deployment",
    plural: "deployments",
    namespaced: true,
  });
  const services = anyKind({ group: "", version: "v1", kind: "Service", plural: "services", namespaced: true });
  for (const kind of [deployments, services]) {
    const original = await client.get(kind, { namespace, name: "catalog" });
    await client.patch(kind, { namespace, name: "catalog-next" }, { t: "apply", body: renamed(original), ...applied });
  }
  await deploymentReady(client, namespace, "catalog-next");
}

/** A copy under the name `catalog-next`, selected by that name, with none of what the server wrote. */
function renamed(object: AnyObject): unknown {
  const copy: Record<string, unknown> = JSON.parse(
    JSON.stringify(object).replaceAll(`"app.kubernetes.io/name":"catalog"`, `"app.kubernetes.io/name":"catalog-next"`),
  );
  copy["metadata"] = { name: "catalog-next", namespace, labels: { "app.kubernetes.io/name": "catalog-next" } };
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
export async function applyCanary(
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
export async function shareOfNext(client: KubeClient, calls: number, call: () => Promise<unknown>): Promise<number> {
  const before = {
    old: await servedBy(client, namespace, "catalog"),
    next: await servedBy(client, namespace, "catalog-next"),
  };
  for (let sent = 0; sent < calls; sent += 20)
    await Promise.all(Array.from({ length: Math.min(20, calls - sent) }, call));
  const old = (await servedBy(client, namespace, "catalog")) - before.old;
  const next = (await servedBy(client, namespace, "catalog-next")) - before.next;
  expect(old + next).toBe(calls);
  return next / calls;
}

/** Waits until a call with the canary's header arrives at the new version: the route is in force at the caller. */
export async function canaryInForce(client: KubeClient, callWithHeader: () => Promise<unknown>): Promise<void> {
  await eventually(
    async () => {
      const before = await servedBy(client, namespace, "catalog-next");
      await callWithHeader();
      return (await servedBy(client, namespace, "catalog-next")) > before;
    },
    { ceilingMs: 30_000, what: "the canary route in force" },
  );
}

/** Takes the canary away again. */
export async function removeCanary(client: KubeClient): Promise<void> {
  await client.delete(kinds.grpcRoute, { namespace, name: "catalog-canary" });
  await client.delete(kinds.service, { namespace, name: "catalog-next" });
  await client.delete(kinds.deployment, { namespace, name: "catalog-next" });
  await eventually(async () => (await podsOf(client, namespace, "catalog-next")).length === 0, {
    ceilingMs: 60_000,
    what: "the canary's Pods gone",
  });
}
