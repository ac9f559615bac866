import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Behavior,
  decide,
  defaultBehavior,
  emptyHistory,
  noteChange,
  type ScalingHistory,
} from "./scaling-rules.js";

/** Looks every 5 s and does what is decided. */
function run(options: {
  readonly start: number;
  readonly asked: readonly number[];
  readonly behavior?: Behavior;
  readonly min?: number;
  readonly max?: number;
}): number[] {
  const { start, asked, behavior = defaultBehavior, min = 1, max = 100 } = options;
  let history: ScalingHistory = emptyHistory;
  let current = start;
  return asked.map((desired, look) => {
    const nowMs = look * 5_000;
    const decision = decide({ current, desired, bounds: { min, max }, behavior, history, nowMs });
    history = noteChange(decision.history, decision.replicas - current, nowMs);
    current = decision.replicas;
    return current;
  });
}

const times = (count: number, value: number): number[] => Array<number>(count).fill(value);

test("it grows at once, but in 15 s to no more than twice as many or four more", () => {
  expect(run({ start: 1, asked: times(8, 50) })).toEqual([5, 5, 5, 10, 10, 10, 20, 20]);
});

test("it shrinks after five minutes in which nothing more was asked for", () => {
  const found = run({ start: 4, asked: [4, ...times(70, 1)] });
  expect(found.indexOf(1)).toBe(60);
  expect(found.slice(0, 60).every((replicas) => replicas === 4)).toBe(true);
});

test("with a shorter window it shrinks sooner, and a peak in the window holds it", () => {
  const behavior = { ...defaultBehavior, down: { ...defaultBehavior.down, stabilizationWindowMs: 15_000 } };
  expect(run({ start: 3, asked: [3, 1, 1, 1, 1], behavior })).toEqual([3, 3, 3, 1, 1]);
  expect(run({ start: 3, asked: [3, 1, 2, 1, 1, 1, 1], behavior })).toEqual([3, 3, 3, 2, 2, 1, 1]);
});

test("the bounds hold, and which of them is said", () => {
  const look = (current: number, desired: number, min: number, max: number) =>
    decide({ current, desired, bounds: { min, max }, behavior: defaultBehavior, history: emptyHistory, nowMs: 0 });
  expect(look(2, 9, 1, 3)).toMatchObject({ replicas: 3, limited: { reason: "TooManyReplicas" } });
  expect(look(2, 9, 1, 20)).toMatchObject({ replicas: 6, limited: { reason: "ScaleUpLimit" } });
  expect(look(5, 1, 2, 9)).toMatchObject({ replicas: 2, limited: { reason: "TooFewReplicas" } });
  expect(look(2, 3, 1, 3)).toMatchObject({ replicas: 3, limited: undefined, stabilized: undefined });
});

test("the least of several policies is taken when it says so, and none when it is off", () => {
  const pods = { type: "Pods", value: 1, periodMs: 60_000 } as const;
  const percent = { type: "Percent", value: 50, periodMs: 60_000 } as const;
  const least: Behavior = {
    up: { stabilizationWindowMs: 0, select: "Min", policies: [pods, percent] },
    down: { stabilizationWindowMs: 0, select: "Min", policies: [pods, percent] },
  };
  expect(run({ start: 10, asked: times(3, 30), behavior: least })).toEqual([11, 11, 11]);
  expect(run({ start: 10, asked: times(3, 1), behavior: least })).toEqual([9, 9, 9]);
  const off: Behavior = { up: { ...least.up, select: "Disabled" }, down: { ...least.down, select: "Disabled" } };
  expect(run({ start: 10, asked: [30, 1], behavior: off })).toEqual([10, 10]);
});

describe("for any recommendations and rules", () => {
  const policy = fc.record({
    type: fc.constantFrom("Pods" as const, "Percent" as const),
    value: fc.integer({ min: 1, max: 200 }),
    periodMs: fc.integer({ min: 1, max: 60 }).map((seconds) => seconds * 1_000),
  });
  const rules = fc.record({
    stabilizationWindowMs: fc.integer({ min: 0, max: 60 }).map((seconds) => seconds * 1_000),
    select: fc.constantFrom("Max" as const, "Min" as const, "Disabled" as const),
    policies: fc.array(policy, { minLength: 1, maxLength: 3 }),
  });
  const world = fc.record({
    behavior: fc.record({ up: rules, down: rules }),
    asked: fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 40 }),
    start: fc.integer({ min: 1, max: 50 }),
    min: fc.integer({ min: 1, max: 5 }),
    span: fc.integer({ min: 0, max: 60 }),
  });

  test("the number stays within the bounds once it is, and moves only towards what was asked for in its windows", () => {
    fc.assert(
      fc.property(world, ({ behavior, asked, start, min, span }) => {
        const max = min + span;
        const began = Math.min(max, Math.max(min, start));
        const found = run({ start: began, asked, behavior, min, max });
        let before = began;
        for (const [look, replicas] of found.entries()) {
          expect(replicas).toBeGreaterThanOrEqual(min);
          expect(replicas).toBeLessThanOrEqual(max);
          const desired = asked[look] ?? 0;
          // A window can hold the number, or bring it part of the way; it never sends it away from everything that was asked for.
          if (replicas > before) expect(Math.max(...asked.slice(0, look + 1))).toBeGreaterThan(before);
          if (replicas < before) expect(desired).toBeLessThan(before);
          before = replicas;
        }
      }),
    );
  });

  test("what is asked for long enough is reached, unless scaling that way is off", () => {
    fc.assert(
      fc.property(world, fc.integer({ min: 1, max: 100 }), ({ behavior, start, min, span }, wanted) => {
        const max = min + span;
        const on: Behavior = {
          up: { ...behavior.up, select: "Max" },
          down: { ...behavior.down, select: "Max", policies: [{ type: "Pods", value: 1, periodMs: 1_000 }] },
        };
        const began = Math.min(max, Math.max(min, start));
        const goal = Math.min(max, Math.max(min, wanted));
        expect(run({ start: began, asked: times(1_200, wanted), behavior: on, min, max }).at(-1)).toBe(goal);
      }),
      { numRuns: 20 },
    );
  });
});
