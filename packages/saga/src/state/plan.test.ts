import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { type StepNode, stepsOf } from "../definition/node.js";
import type { ErrorClass, StepPolicy } from "../definition/policy.js";
import { saga } from "../definition/saga.js";
import { encodeJournal, parseJournal } from "./journal.js";
import { failed, needsUndo } from "./plan.js";
import { afterTakeover, type EntryError, noProgress, withEntry } from "./progress.js";

const run = async (): Promise<void> => {};
const policy = { attempts: 2, parkAfter: 4, backoff: { initialMs: 100, maxMs: 1_000, multiplier: 2, jitter: 0 } };

function stepAt(place: "before" | "pivot" | "after", more: StepPolicy = {}): StepNode {
  const all = saga("order", { version: 1, input: StringValueSchema })
    .step("before", { run, compensate: run, policy: { ...policy, ...more } })
    .pivot("pivot", { run, policy: { ...policy, ...more } })
    .step("after", { run, policy: { ...policy, ...more } });
  const step = all.nodes.flatMap(stepsOf).find(({ name }) => name === place);
  if (step === undefined) throw new Error("no such step");
  return step;
}

const error = (errorClass: ErrorClass): EntryError => ({ code: Code.Unknown, message: "x", details: [], errorClass });
const options = { nowMs: 1_000_000, random: () => 0.5 };

/** What follows when the last of these failures comes. */
function after(step: StepNode, classes: readonly ErrorClass[], begunMs = 999_000): string {
  let progress = withEntry(noProgress, step.name, { state: "started", begunMs });
  let last = "";
  for (const errorClass of classes) {
    const next = failed(progress, step, error(errorClass), options);
    progress = next.progress;
    const entry = progress.entries.get(step.name);
    const doubt = entry?.uncertain === true ? " in doubt" : "";
    if (next.park !== undefined) last = "parks";
    else if (progress.phase === "compensating") last = `turns back${doubt}`;
    else last = `waits ${(entry?.dueMs ?? 0) - options.nowMs} ms${doubt}`;
  }
  return last;
}

test.each([
  ["before", ["refused"], "turns back"],
  ["before", ["transient"], "waits 100 ms"],
  ["before", ["transient", "transient"], "turns back"],
  ["before", ["unknown"], "waits 100 ms in doubt"],
  ["before", ["unknown", "refused"], "turns back in doubt"],
  ["pivot", ["refused"], "turns back"],
  ["pivot", ["unknown", "refused"], "waits 200 ms in doubt"],
  ["pivot", ["transient", "transient"], "turns back"],
  ["pivot", ["unknown", "unknown", "unknown", "unknown"], "parks"],
  ["after", ["refused"], "waits 100 ms"],
  ["after", ["refused", "transient", "unknown"], "waits 400 ms in doubt"],
  ["after", ["transient", "transient", "transient", "transient"], "parks"],
] as const)("a step %s the pivot that met %j %s", (place, classes, expected) => {
  expect(after(stepAt(place), classes)).toBe(expected);
});

test("a step in doubt that cannot be asked about is not tried again once its key may be forgotten", () => {
  const dayAgo = options.nowMs - 24 * 3_600_000;
  expect(after(stepAt("after"), ["unknown"], dayAgo)).toBe("parks");
  expect(after(stepAt("before", { attempts: 9 }), ["unknown"], dayAgo)).toBe("turns back in doubt");
  expect(after(stepAt("after"), ["transient"], dayAgo)).toBe("waits 100 ms");
});

test("a participant that remembers refusals settles a pivot in doubt by refusing it", () => {
  expect(after(stepAt("pivot", { refusalIsFinal: true }), ["unknown", "refused"])).toBe("turns back");
});

test("an intent that is found after a takeover is in doubt, and what is in doubt is compensated", () => {
  const found = afterTakeover(withEntry(noProgress, "before", { state: "started" }));
  const entry = found.entries.get("before");
  expect(entry?.uncertain).toBe(true);
  expect(entry !== undefined && needsUndo(stepAt("before"), entry)).toBe(true);
  expect(entry !== undefined && needsUndo(stepAt("before"), { ...entry, uncertain: false })).toBe(false);
});

test("a journal reads as it was written", () => {
  const result = new Uint8Array([1, 2, 3]);
  const kept = withEntry(withEntry(noProgress, "a", { state: "done", result, begunMs: 5, attempts: 2 }), "b", {
    state: "undoing",
    uncertain: true,
    undoAttempts: 3,
    dueMs: 7,
    error: error("transient"),
    skipped: true,
  });
  const failure = { step: "b", code: Code.Aborted, message: "m", details: [{ type: "t", value: result }] };
  const whole = { ...kept, phase: "compensating" as const, failure, lockKeys: ["k"] };
  expect(parseJournal("compensating", encodeJournal(whole))).toEqual(whole);
});
