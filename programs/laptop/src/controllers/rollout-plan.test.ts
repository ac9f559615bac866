import type { Deployment } from "@weft/kube";
import fc from "fast-check";
import { expect, test } from "vitest";
import { limitsOf, planScales, type ReplicaSetCounts } from "./rollout-plan.js";

type Spec = Deployment["spec"];

function specOf(
  replicas: number,
  rollingUpdate?: { maxSurge: number | string; maxUnavailable: number | string },
): Spec {
  const base = { replicas, selector: {}, template: {} };
  return rollingUpdate === undefined ? base : { ...base, strategy: { type: "RollingUpdate", rollingUpdate } };
}

function setOf(name: string, replicas: number, available: number): ReplicaSetCounts {
  return { name, createdAt: name, replicas, pods: replicas, available, terminating: 0 };
}

test("percentages of the surge round up, those of the unavailable down, and both are never 0", () => {
  expect(limitsOf(specOf(3))).toEqual({ maxSurge: 1, maxUnavailable: 0 });
  expect(limitsOf(specOf(10, { maxSurge: "30%", maxUnavailable: "15%" }))).toEqual({ maxSurge: 3, maxUnavailable: 1 });
  expect(limitsOf(specOf(4, { maxSurge: 0, maxUnavailable: 0 }))).toEqual({ maxSurge: 0, maxUnavailable: 1 });
});

test("an old Pod goes only when a new one has taken its place", () => {
  const spec = specOf(2, { maxSurge: 1, maxUnavailable: 0 });
  const plan = (current: ReplicaSetCounts, old: ReplicaSetCounts): Record<string, number> =>
    Object.fromEntries(planScales({ spec, current, old: [old] }));
  expect(plan(setOf("new", 0, 0), setOf("old", 2, 2))).toEqual({ new: 1 });
  expect(plan(setOf("new", 1, 0), setOf("old", 2, 2))).toEqual({});
  expect(plan(setOf("new", 1, 1), setOf("old", 2, 2))).toEqual({ old: 1 });
  expect(plan(setOf("new", 1, 1), setOf("old", 1, 1))).toEqual({ new: 2 });
  expect(plan(setOf("new", 2, 2), setOf("old", 1, 1))).toEqual({ old: 0 });
  expect(plan(setOf("new", 2, 2), setOf("old", 0, 0))).toEqual({});
});

test("Recreate starts nothing new before everything old has ended", () => {
  const spec: Spec = { ...specOf(1), strategy: { type: "Recreate" } };
  const plan = (current: ReplicaSetCounts, old: ReplicaSetCounts): Record<string, number> =>
    Object.fromEntries(planScales({ spec, current, old: [old] }));
  expect(plan(setOf("new", 0, 0), setOf("old", 1, 1))).toEqual({ old: 0 });
  expect(plan(setOf("new", 0, 0), { ...setOf("old", 0, 0), terminating: 1 })).toEqual({});
  expect(plan(setOf("new", 0, 0), setOf("old", 0, 0))).toEqual({ new: 1 });
});

test("whatever fails meanwhile, a rollout stays within its limits and ends when the new Pods are well", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 0, max: 4 }),
      fc.integer({ min: 0, max: 4 }),
      fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 40 }),
      (replicas, maxSurge, maxUnavailable, choices) => {
        const spec = specOf(replicas, { maxSurge, maxUnavailable });
        const limits = limitsOf(spec);
        let current = setOf("new", 0, 0);
        let old = [setOf("a", replicas, replicas), setOf("b", 0, 0)];
        const round = (): boolean => {
          const scales = planScales({ spec, current, old });
          const scaled = (set: ReplicaSetCounts): ReplicaSetCounts => {
            const next = scales.get(set.name) ?? set.replicas;
            return { ...set, replicas: next, pods: next, available: Math.min(set.available, next) };
          };
          const before = current.available + old.reduce((sum, set) => sum + set.available, 0);
          current = scaled(current);
          old = old.map(scaled);
          const after = current.available + old.reduce((sum, set) => sum + set.available, 0);
          // What the plan takes away never goes below the limit; what failed by itself is not the plan's doing.
          expect(after).toBeGreaterThanOrEqual(Math.min(before, replicas - limits.maxUnavailable));
          const all = current.replicas + old.reduce((sum, set) => sum + set.replicas, 0);
          expect(all).toBeLessThanOrEqual(replicas + limits.maxSurge);
          return scales.size > 0;
        };
        for (const choice of choices) {
          round();
          if (choice === 0) current = { ...current, available: current.replicas };
          if (choice === 1) current = { ...current, available: Math.max(0, current.available - 1) };
          if (choice === 2) old = old.map((set) => ({ ...set, available: Math.max(0, set.available - 1) }));
        }
        for (let last = 0; last < 40; last++) {
          current = { ...current, available: current.replicas };
          if (!round() && current.available === replicas) break;
        }
        expect(current.available).toBe(replicas);
        expect(old.map((set) => set.replicas)).toEqual([0, 0]);
      },
    ),
    { numRuns: 200 },
  );
});
