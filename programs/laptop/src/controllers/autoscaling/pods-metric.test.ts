import type { Pod } from "@weft/kube";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultTolerance, proposePods } from "./pods-metric.js";

const pod = (index: number, more: { phase?: "Pending" | "Running" | "Failed"; ending?: boolean } = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    name: `p${index}`,
    namespace: "shop",
    ...(more.ending === true ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}),
  },
  spec: { containers: [] },
  status: { phase: more.phase ?? "Running" },
});
const pods = (count: number): Pod[] => Array.from({ length: count }, (_, index) => pod(index));
const values = (...of: readonly number[]): ReadonlyMap<string, number> =>
  new Map(of.map((value, index) => [`p${index}`, value]));
const propose = (options: Partial<Parameters<typeof proposePods>[0]>) =>
  proposePods({
    current: 1,
    targetMilli: 1_000,
    tolerance: defaultTolerance,
    pods: pods(1),
    values: values(),
    ...options,
  });

test("twice the target asks for twice as many, half of it for half", () => {
  expect(propose({ current: 2, pods: pods(2), values: values(2_000, 2_000) })).toMatchObject({ replicas: 4 });
  expect(propose({ current: 4, pods: pods(4), values: values(500, 500, 500, 500) })).toMatchObject({ replicas: 2 });
  expect(propose({ current: 3, pods: pods(3), values: values(1_500, 1_500, 1_500) })).toMatchObject({ replicas: 5 });
});

test("a tenth more or less changes nothing, a little more than that does", () => {
  const ask = (milli: number) => propose({ current: 10, pods: pods(10), values: values(...Array(10).fill(milli)) });
  expect(ask(1_100)).toMatchObject({ replicas: 10 });
  expect(ask(900)).toMatchObject({ replicas: 10 });
  expect(ask(1_101)).toMatchObject({ replicas: 12 });
  expect(ask(899)).toMatchObject({ replicas: 9 });
});

test("Pods that go away or have failed do not count", () => {
  const all = [pod(0), pod(1, { ending: true }), pod(2, { phase: "Failed" })];
  expect(propose({ current: 1, pods: all, values: values(2_000, 9_000, 9_000) })).toMatchObject({
    replicas: 2,
    averageMilli: 2_000,
  });
});

test("a Pod that is pending counts as idle when more are asked for, and not at all when fewer are", () => {
  const all = [pod(0), pod(1), pod(2, { phase: "Pending" })];
  // (4000 + 4000 + 0) / 3 Pods: 2.666 times the target.
  expect(propose({ current: 3, pods: all, values: values(4_000, 4_000) })).toMatchObject({ replicas: 8 });
  // 1.4 times the target would be three; with an idle third Pod it is within the tolerance of what there is.
  expect(propose({ current: 3, pods: all, values: values(1_400, 1_400) })).toMatchObject({ replicas: 3 });
  expect(propose({ current: 3, pods: all, values: values(500, 500) })).toMatchObject({ replicas: 1 });
});

test("a Pod without a value counts as idle when more are asked for, as busy enough when fewer are", () => {
  expect(propose({ current: 2, pods: pods(2), values: values(3_000) })).toMatchObject({ replicas: 3 });
  expect(propose({ current: 2, pods: pods(2), values: values(1_500) })).toMatchObject({ replicas: 2 });
  expect(propose({ current: 4, pods: pods(4), values: values(100, 100) })).toMatchObject({ replicas: 3 });
});

test("without Pods, and without any value, nothing is asked for", () => {
  expect(propose({ pods: [] })).toMatchObject({ t: "unknown", why: expect.stringContaining("no pods returned") });
  expect(propose({})).toMatchObject({ t: "unknown", why: expect.stringContaining("did not receive metrics") });
  expect(propose({ pods: [pod(0, { phase: "Pending" })], values: values(1_000) })).toMatchObject({ t: "unknown" });
});

describe("for any Pods and values", () => {
  const world = fc.record({
    current: fc.integer({ min: 1, max: 30 }),
    targetMilli: fc.integer({ min: 1, max: 100_000 }),
    states: fc.array(
      fc.record({
        phase: fc.constantFrom("Pending" as const, "Running" as const, "Failed" as const),
        ending: fc.boolean(),
        value: fc.option(fc.integer({ min: 0, max: 1_000_000 }), { nil: undefined }),
      }),
      { maxLength: 30 },
    ),
  });

  test("the number asked for is whole and not below 0, and what is not known never turns the direction", () => {
    fc.assert(
      fc.property(world, ({ current, targetMilli, states }) => {
        const proposal = proposePods({
          current,
          targetMilli,
          tolerance: defaultTolerance,
          pods: states.map((state, index) => pod(index, state)),
          values: new Map(
            states.flatMap(({ value }, index) => (value === undefined ? [] : [[`p${index}`, value] as const])),
          ),
        });
        if (proposal.t === "unknown") return;
        expect(Number.isInteger(proposal.replicas)).toBe(true);
        expect(proposal.replicas).toBeGreaterThanOrEqual(0);
        const counted = states.filter(({ phase, ending }) => !ending && phase !== "Failed");
        const uncertain = counted.some(({ phase, value }) => phase === "Pending" || value === undefined);
        if (uncertain && proposal.averageMilli > targetMilli) expect(proposal.replicas).toBeGreaterThanOrEqual(current);
      }),
    );
  });

  test("more load never asks for fewer, when every Pod says its own", () => {
    const all = fc.record({
      current: fc.integer({ min: 1, max: 20 }),
      loads: fc.array(fc.integer({ min: 0, max: 100_000 }), { minLength: 1, maxLength: 20 }),
      more: fc.integer({ min: 0, max: 100_000 }),
    });
    fc.assert(
      fc.property(all, ({ loads, more }) => {
        const ask = (extra: number): number => {
          const found = propose({
            current: loads.length,
            targetMilli: 10_000,
            pods: pods(loads.length),
            values: values(...loads.map((load) => load + extra)),
          });
          return found.t === "replicas" ? found.replicas : Number.NaN;
        };
        expect(ask(more)).toBeGreaterThanOrEqual(ask(0));
      }),
    );
  });
});
