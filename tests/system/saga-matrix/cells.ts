import { readFileSync } from "node:fs";
import type { ParticipantName } from "./shop.js";

/** What goes wrong, as the columns of the matrix name it. */
export const faults = ["orchestrator killed", "participant killed", "duplicate", "late", "database down"] as const;
export type Fault = (typeof faults)[number];

/** When it goes wrong. */
export const moments = [
  "before the intent",
  "after the intent",
  "after the participant's commit",
  "before the result is saved",
  "compensating, before its commit",
  "compensating, after its commit",
] as const;
export type Moment = (typeof moments)[number];

/** A call that a step makes. */
export interface StepCall {
  readonly participant: ParticipantName;
  readonly method: string;
}

/** A step as its definition has it, and as an undisturbed order was seen to carry it out. */
export interface Step {
  readonly name: string;
  /** In the orders' own database. */
  readonly local: boolean;
  readonly place: "before" | "pivot" | "after";
  readonly compensates: boolean;
  readonly calls: readonly StepCall[];
  readonly undoCalls: readonly StepCall[];
}

/** One line of the matrix: a step, or one call of a step that makes several. */
export interface Row {
  readonly title: string;
  readonly step: Step;
  /** The step that is begun by the write that saves this one's result; empty for the last. */
  readonly next: string;
  readonly call: StepCall | undefined;
  readonly undoCall: StepCall | undefined;
  readonly isFirstCall: boolean;
  readonly isLastCall: boolean;
}

export interface Cell {
  readonly name: string;
  readonly row: Row;
  readonly fault: Fault;
  readonly moment: Moment;
  /** Why there is nothing to try; nothing for a cell that is tried. */
  readonly without: string | undefined;
}

/** The steps of the latest released version of the saga, in order; a test of the orders holds that file against the definition itself. */
export function placeOrderSteps(): readonly Omit<Step, "calls" | "undoCalls">[] {
  const file = new URL("../../../services/shop/orders/src/sagas/released-sagas.json", import.meta.url);
  const versions = parseVersions(JSON.parse(readFileSync(file, "utf8")));
  const latest = Object.keys(versions).toSorted((a, b) => Number(b) - Number(a))[0] ?? "";
  let place: Step["place"] = "before";
  return (versions[latest] ?? []).flatMap((line) => {
    const [kind, name = "", ...words] = line.split(" ");
    if (kind === "input") return [];
    if (kind !== "step" && kind !== "pivot") throw new Error(`the matrix knows no "${kind}" of a saga: ${line}`);
    if (kind === "pivot") place = "pivot";
    else if (place === "pivot") place = "after";
    return [{ name, local: words.includes("local"), place, compensates: words.includes("compensates") }];
  });
}

function parseVersions(json: unknown): Readonly<Record<string, readonly string[]>> {
  const sagas = json as Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  return sagas["place-order"] ?? {};
}

export function rowsOf(steps: readonly Step[]): readonly Row[] {
  return steps.flatMap((step, at): readonly Row[] => {
    const next = steps[at + 1]?.name ?? "";
    const common = { step, next, undoCall: step.undoCalls[0] };
    if (step.calls.length === 0)
      return [{ ...common, title: step.name, call: undefined, isFirstCall: true, isLastCall: true }];
    return step.calls.map((call, nth) => ({
      ...common,
      title: step.calls.length === 1 ? step.name : `${step.name} (${call.participant})`,
      call,
      isFirstCall: nth === 0,
      isLastCall: nth === step.calls.length - 1,
    }));
  });
}

/** Every cell of the matrix, those too that there is nothing to try in. */
export function cellsOf(rows: readonly Row[]): readonly Cell[] {
  return rows.flatMap((row) =>
    faults.flatMap((fault) =>
      moments.map((moment) => ({
        name: `${row.title}, ${moment}: ${fault}`,
        row,
        fault,
        moment,
        without: whyNot(row, fault, moment),
      })),
    ),
  );
}

/** Whether the moment is one of a write of the orders' own database. */
export function isWriteMoment({ row, moment }: Pick<Cell, "row" | "moment">): boolean {
  if (row.step.local) return true;
  return moment === "before the intent" || moment === "before the result is saved";
}

/** The reasons why a cell has nothing to try, by the letter that stands for each in the table. */
export const reasons = {
  a: "the step has no compensation",
  b: "the pivot and what follows it have no compensation: once it was carried out nothing is turned back",
  c: "a step in the orders' own database has no intent of its own: it commits with its effect",
  d: "no participant but the orders' own database: see “database down”",
  e: "no message that could be doubled: the step is a transaction of the orders' own database",
  f: "no message is under way yet that could be doubled",
  g: "the step's calls share one intent and one result: see its other line",
} as const;

function whyNot(row: Row, fault: Fault, moment: Moment): string | undefined {
  const { step } = row;
  const compensating = moment.startsWith("compensating");
  if (compensating && step.place !== "before") return "b";
  if (compensating && !step.compensates) return "a";
  if (step.local) {
    if (fault === "participant killed") return "d";
    if (fault === "duplicate") return "e";
    // The first has one: the record of the saga itself.
    if (moment === "after the intent" || (moment === "before the intent" && step.name !== "open")) return "c";
    return undefined;
  }
  if (moment === "before the intent" && fault === "duplicate") return "f";
  if (moment === "before the intent" && !row.isFirstCall) return "g";
  if (moment === "before the result is saved" && !row.isLastCall) return "g";
  return undefined;
}
