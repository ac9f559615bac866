import { Code } from "@connectrpc/connect";
import type { SagaFailure } from "../definition/failure.js";
import { type SagaNode, type StepNode, stepsOf } from "../definition/node.js";
import { backoffMs } from "../definition/policy.js";
import type { SagaDefinition } from "../definition/saga.js";
import { type Entry, type EntryError, type Progress, withEntry } from "./progress.js";

/** What is to be done next; decided by the definition and the progress alone. */
export type Work =
  /** Steps to call, at the same time. */
  | { readonly t: "call"; readonly steps: readonly StepNode[] }
  /** A step in the own database. */
  | { readonly t: "local"; readonly step: StepNode }
  | { readonly t: "undo"; readonly step: StepNode }
  | { readonly t: "lock"; readonly node: Extract<SagaNode, { t: "lock" }> }
  | { readonly t: "sleep"; readonly node: Extract<SagaNode, { t: "sleep" }> }
  /** Nothing before that time. Unix milliseconds. */
  | { readonly t: "wait"; readonly step: string; readonly dueMs: number }
  | { readonly t: "end"; readonly state: "completed" | "compensated" };

/** What comes next for a saga at the given time. */
export function nextWork(definition: SagaDefinition, progress: Progress, nowMs: number): Work {
  return progress.phase === "running" ? forward(definition, progress, nowMs) : backward(definition, progress, nowMs);
}

function forward(definition: SagaDefinition, progress: Progress, nowMs: number): Work {
  for (const node of definition.nodes) {
    if (node.t === "lock") {
      // One that waits looks again whenever it is woken: whoever gives the lock back makes it due.
      if (progress.entries.get(node.name)?.state !== "done") return { t: "lock", node };
      continue;
    }
    if (node.t === "sleep") {
      const entry = progress.entries.get(node.name);
      if (entry?.state === "done") continue;
      if (entry !== undefined && entry.dueMs > nowMs) return { t: "wait", step: node.name, dueMs: entry.dueMs };
      return { t: "sleep", node };
    }
    const open = stepsOf(node).filter((step) => progress.entries.get(step.name)?.state !== "done");
    if (open.length === 0) continue;
    const due = open.filter((step) => (progress.entries.get(step.name)?.dueMs ?? 0) <= nowMs);
    if (due.length === 0) {
      const dueMs = Math.min(...open.map((step) => progress.entries.get(step.name)?.dueMs ?? 0));
      return { t: "wait", step: node.name, dueMs };
    }
    if (node.t === "step" && node.work.t === "local") return { t: "local", step: node };
    return { t: "call", steps: due };
  }
  return { t: "end", state: "completed" };
}

function backward(definition: SagaDefinition, progress: Progress, nowMs: number): Work {
  for (const node of definition.nodes.toReversed()) {
    for (const step of stepsOf(node).toReversed()) {
      const entry = progress.entries.get(step.name);
      if (entry === undefined || !needsUndo(step, entry)) continue;
      if (entry.state === "undoing" && entry.dueMs > nowMs) return { t: "wait", step: step.name, dueMs: entry.dueMs };
      return { t: "undo", step };
    }
  }
  return { t: "end", state: "compensated" };
}

/** Whether a step of a saga that turns back has anything to compensate. */
export function needsUndo(step: StepNode, entry: Entry): boolean {
  if (step.work.compensate === undefined) return false;
  switch (entry.state) {
    case "done":
    case "undoing":
      return true;
    case "started":
    case "waiting":
    case "refused":
      return entry.uncertain;
    case "undone":
      return false;
  }
}

/** The intent of these steps. */
export function begun(progress: Progress, steps: readonly StepNode[], nowMs: number): Progress {
  let next = progress;
  for (const { name } of steps) {
    const begunMs = progress.entries.get(name)?.begunMs ?? nowMs;
    next = withEntry(next, name, { state: "started", begunMs, dueMs: 0 });
  }
  return next;
}

export function succeeded(progress: Progress, name: string, result: Uint8Array | undefined): Progress {
  return withEntry(progress, name, { state: "done", uncertain: false, dueMs: 0, result, error: undefined });
}

/** The saga goes back from here. The first failure stays. */
export function turnedBack(progress: Progress, failure: SagaFailure): Progress {
  return { ...progress, phase: "compensating", failure: progress.failure ?? failure };
}

export function cancelledFailure(reason: string): SagaFailure {
  return { step: "", code: Code.Canceled, message: reason, details: [] };
}

/** What follows from a failed attempt: it waits for the next one, the saga turns back, or it parks for the given reason. */
export interface AfterFailure {
  readonly progress: Progress;
  readonly park?: string;
}

export interface FailureOptions {
  readonly nowMs: number;
  readonly random: () => number;
}

/** An attempt of a step going forward failed. */
export function failed(progress: Progress, step: StepNode, error: EntryError, options: FailureOptions): AfterFailure {
  const entry = progress.entries.get(step.name);
  const attempts = (entry?.attempts ?? 0) + 1;
  const uncertain = (entry?.uncertain ?? false) || error.errorClass === "unknown";
  const { policy } = step;
  const begunMs = entry?.begunMs || options.nowMs;
  const change = { attempts, uncertain, error, begunMs };
  const wait = (): AfterFailure => ({
    progress: withEntry(progress, step.name, {
      ...change,
      state: "waiting",
      dueMs: options.nowMs + backoffMs(policy.backoff, attempts, options.random),
    }),
  });
  const giveUp = (stillUncertain: boolean): AfterFailure => ({
    progress: turnedBack(
      withEntry(progress, step.name, { ...change, state: "refused", uncertain: stillUncertain, dueMs: 0 }),
      { step: step.name, code: error.code, message: error.message, details: error.details },
    ),
  });
  const park = (reason: string): AfterFailure => ({
    progress: withEntry(progress, step.name, { ...change, state: "waiting", dueMs: 0 }),
    park: reason,
  });
  const cannotAsk = step.work.t === "local" || step.work.ask === undefined;
  const keyForgotten = uncertain && cannotAsk && options.nowMs - begunMs >= policy.keyRememberedMs;

  if (step.place === "before") {
    return error.errorClass === "refused" || attempts >= policy.attempts || keyForgotten ? giveUp(uncertain) : wait();
  }
  if (step.place === "pivot") {
    if (error.errorClass === "refused" && (!uncertain || policy.refusalIsFinal)) return giveUp(false);
    if (!uncertain && attempts >= policy.attempts) return giveUp(false);
  }
  if (keyForgotten) {
    return park(`step "${step.name}": its outcome is unknown, and the participant may have forgotten its key by now`);
  }
  if (attempts >= policy.parkAfter) return park(`step "${step.name}" failed ${attempts} times: ${error.message}`);
  return wait();
}

/** An attempt of a compensation, or of the look-up before it, failed. */
export function undoFailed(
  progress: Progress,
  step: StepNode,
  error: EntryError,
  options: FailureOptions,
): AfterFailure {
  const undoAttempts = (progress.entries.get(step.name)?.undoAttempts ?? 0) + 1;
  const change = { state: "undoing", undoAttempts, error } as const;
  if (undoAttempts >= step.policy.parkAfter) {
    return {
      progress: withEntry(progress, step.name, { ...change, dueMs: 0 }),
      park: `the compensation of step "${step.name}" failed ${undoAttempts} times: ${error.message}`,
    };
  }
  const dueMs = options.nowMs + backoffMs(step.policy.backoff, undoAttempts, options.random);
  return { progress: withEntry(progress, step.name, { ...change, dueMs }) };
}

export function undone(progress: Progress, name: string): Progress {
  return withEntry(progress, name, { state: "undone", dueMs: 0, error: undefined });
}

/** The step that a saga is at, for people. */
export function stepOf(work: Work): string {
  switch (work.t) {
    case "call":
      return work.steps.map((step) => step.name).join(",");
    case "local":
    case "undo":
      return work.step.name;
    case "lock":
    case "sleep":
      return work.node.name;
    case "wait":
      return work.step;
    case "end":
      return "";
  }
}
