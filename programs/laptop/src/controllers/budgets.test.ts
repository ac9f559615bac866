import type { Deployment, KindOf, kinds, Pod, ReplicaSet } from "@weft/kube";
import { expect, test } from "vitest";
import { budgetStatus } from "./budgets.js";

type Budget = KindOf<typeof kinds.podDisruptionBudget>;

const nowMs = Date.parse("2026-01-01T00:00:00Z");
const labels = { app: "a" };
const owner = (kind: string, uid: string) => [{ apiVersion: "apps/v1", kind, name: uid, uid, controller: true }];
const template = { metadata: { labels }, spec: { containers: [] } };
const deployment: Deployment = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "a", namespace: "shop", uid: "d" },
  spec: { replicas: 3, selector: { matchLabels: labels }, template },
};
const replicaSet: ReplicaSet = {
  apiVersion: "apps/v1",
  kind: "ReplicaSet",
  metadata: { name: "a-1", namespace: "shop", uid: "r", ownerReferences: owner("Deployment", "d") },
  spec: { replicas: 3, selector: { matchLabels: labels } },
};
const pod = (name: string, ready = true): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "shop", uid: name, labels, ownerReferences: owner("ReplicaSet", "r") },
  spec: { containers: [] },
  status: { phase: "Running", conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
});
const statusOf = (spec: NonNullable<Budget["spec"]>, pods: readonly Pod[], status?: unknown) =>
  budgetStatus({
    budget: {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata: { name: "a", namespace: "shop", generation: 2 },
      spec: { selector: { matchLabels: labels }, ...spec },
      ...(status === undefined ? {} : { status }),
    },
    pods,
    replicaSets: [replicaSet],
    deployments: [deployment],
    nowMs,
  });

test("one Pod may go while all are healthy, and none while one is not", () => {
  expect(statusOf({ maxUnavailable: 1 }, [pod("1"), pod("2"), pod("3")])).toMatchObject({
    observedGeneration: 2,
    expectedPods: 3,
    currentHealthy: 3,
    desiredHealthy: 2,
    disruptionsAllowed: 1,
    conditions: [{ type: "DisruptionAllowed", status: "True", reason: "SufficientPods" }],
  });
  expect(statusOf({ maxUnavailable: 1 }, [pod("1"), pod("2"), pod("3", false)])).toMatchObject({
    currentHealthy: 2,
    disruptionsAllowed: 0,
    conditions: [{ status: "False", reason: "InsufficientPods" }],
  });
});

test("shares round up; a minimum is of what there should be", () => {
  const pods = [pod("1"), pod("2"), pod("3")];
  expect(statusOf({ maxUnavailable: "50%" }, pods)).toMatchObject({ desiredHealthy: 1, disruptionsAllowed: 2 });
  expect(statusOf({ minAvailable: "50%" }, pods)).toMatchObject({ desiredHealthy: 2, disruptionsAllowed: 1 });
  expect(statusOf({ minAvailable: 3 }, pods)).toMatchObject({ desiredHealthy: 3, disruptionsAllowed: 0 });
});

test("a Pod that is being evicted no longer counts, until it has plainly stayed", () => {
  const pods = [pod("1"), pod("2"), pod("3")];
  const since = (seconds: number): string => new Date(nowMs - seconds * 1_000).toISOString();
  expect(statusOf({ maxUnavailable: 1 }, pods, { disruptedPods: { "1": since(5) } })).toMatchObject({
    currentHealthy: 2,
    disruptionsAllowed: 0,
    disruptedPods: { "1": since(5) },
  });
  const stayed = statusOf({ maxUnavailable: 1 }, pods, { disruptedPods: { "1": since(130) } });
  expect(stayed).toMatchObject({ disruptionsAllowed: 1 });
  expect(stayed).not.toHaveProperty("disruptedPods");
});

test("a budget that selects nothing allows nothing", () => {
  expect(statusOf({ maxUnavailable: 1 }, [])).toMatchObject({ expectedPods: 0, disruptionsAllowed: 0 });
});
