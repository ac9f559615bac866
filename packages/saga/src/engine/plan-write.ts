import type { SagaDefinition } from "../definition/saga.js";
import type { Looked } from "../definition/step.js";
import { begun, nextWork, stepOf } from "../state/plan.js";
import { type Progress, withEntry } from "../state/progress.js";
import type { Plan } from "./run-writer.js";

/**
 * What comes next for a saga with this progress, and how it is to stand in its row before it is done: with the intents of the steps that are
 * called, with the time at which a wait is over, or ended.
 */
export function planFrom(
  definition: SagaDefinition,
  from: Progress,
  options: {
    readonly nowMs: number;
    readonly pivotBegun: boolean;
    readonly looked: (progress: Progress) => Looked<unknown, unknown>;
  },
): Plan {
  const { nowMs } = options;
  let progress = from;
  let work = nextWork(definition, progress, nowMs);
  while (work.t === "sleep") {
    const { name, durationMs } = work.node;
    progress = progress.entries.has(name)
      ? withEntry(progress, name, { state: "done" })
      : withEntry(progress, name, {
          state: "waiting",
          begunMs: nowMs,
          dueMs: nowMs + Math.max(0, durationMs(options.looked(progress))),
        });
    work = nextWork(definition, progress, nowMs);
  }
  const common = {
    work,
    state: progress.phase,
    step: stepOf(work),
    keep: true,
    dueMs: 0,
    pivotBegun: options.pivotBegun,
  };
  switch (work.t) {
    case "call": {
      const fresh = work.steps.filter((step) => progress.entries.get(step.name)?.state !== "started");
      return {
        ...common,
        progress: fresh.length === 0 ? progress : begun(progress, fresh, nowMs),
        pivotBegun: options.pivotBegun || work.steps.some((step) => step.place === "pivot"),
      };
    }
    case "wait":
      return { ...common, progress, keep: false, dueMs: work.dueMs };
    case "end":
      return { ...common, progress, keep: false, state: work.state };
    default:
      return { ...common, progress };
  }
}
