import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import {
  type GetSagaResponse,
  type Saga,
  type SagaAct,
  type SagaCount,
  SagaState,
  type SagaStep,
} from "@weft/contracts/weft/saga/v1";
import { formatTable } from "../terminal.js";

const names: ReadonlyMap<SagaState, string> = new Map([
  [SagaState.RUNNING, "running"],
  [SagaState.COMPENSATING, "compensating"],
  [SagaState.COMPLETED, "completed"],
  [SagaState.COMPENSATED, "compensated"],
  [SagaState.PARKED, "parked"],
]);

export const stateNames: readonly string[] = [...names.values()];

export function parseSagaState(name: string): SagaState | undefined {
  return [...names].find(([, known]) => known === name)?.[0];
}

export function stateName(state: SagaState): string {
  return names.get(state) ?? `state ${state}`;
}

/** Sagas, the parked ones (each is an alarm) first. */
export function sagaTable(sagas: readonly Saga[], now: Date): string {
  const parked = sagas.filter(({ state }) => state === SagaState.PARKED);
  const others = sagas.filter(({ state }) => state !== SagaState.PARKED);
  const rows = [...parked, ...others].map((saga) => [
    saga.sagaId,
    definitionOf(saga),
    saga.state === SagaState.PARKED ? "PARKED" : stateName(saga.state),
    ageOf(saga.createTime, now),
    saga.step || "-",
    dueOf(saga, now),
    oneLine(saga.reason),
  ]);
  return formatTable([["SAGA", "DEFINITION", "STATE", "AGE", "STEP", "GOES ON", "REASON"], ...rows]);
}

/** What has not ended, by version: old ones show how far they are drained. */
export function countTable(counts: readonly SagaCount[]): string {
  if (counts.length === 0) return "";
  const rows = counts.map((count) => [definitionOf(count), stateName(count.state), String(count.count)]);
  return formatTable([["NOT ENDED", "STATE", "COUNT"], ...rows]);
}

/** One saga, whole: how it stands, its steps, and what operators did. */
export function sagaPage(answer: GetSagaResponse, now: Date): string {
  const { saga, steps, acts, inputJson } = answer;
  if (saga === undefined) return "";
  const facts = [
    ["saga", saga.sagaId],
    ["definition", definitionOf(saga)],
    ["state", stateName(saga.state)],
    ...(saga.reason === "" ? [] : [["reason", oneLine(saga.reason, 500)]]),
    ["step", saga.step || "-"],
    ["started", momentOf(saga.createTime, now)],
    ["changed", momentOf(saga.updateTime, now)],
    ["goes on", dueOf(saga, now)],
    ["trace", saga.traceId || "-"],
    ["input", inputJson === "" ? "-" : oneLine(withoutTokens(inputJson), 2_000)],
  ];
  const history = acts.length === 0 ? "no operator has touched it\n" : actTable(acts);
  return `${formatTable(facts)}\n${stepTable(steps)}\n${history}`;
}

function stepTable(steps: readonly SagaStep[]): string {
  const rows = steps.map((step) => [
    step.name,
    step.uncertain ? `${step.state}, uncertain` : step.state,
    // What failed, not what was tried: the attempt that went well is not among them.
    failedOf(step),
    step.skipped ? "operator" : "",
    step.error === "" ? oneLine(withoutTokens(step.resultJson)) : `error: ${oneLine(step.error)}`,
  ]);
  return formatTable([["STEP", "STATE", "FAILED", "DECIDED", "RESULT"], ...rows]);
}

function failedOf({ attempts, undoAttempts }: SagaStep): string {
  if (attempts === 0 && undoAttempts === 0) return "-";
  return undoAttempts === 0 ? String(attempts) : `${attempts}, undo ${undoAttempts}`;
}

function actTable(acts: readonly SagaAct[]): string {
  const rows = acts.map((act) => [
    act.actTime === undefined ? "-" : timestampDate(act.actTime).toISOString(),
    act.operator,
    act.step === "" ? act.act : `${act.act} ${act.step}`,
    oneLine(act.reason, 500),
  ]);
  return formatTable([["WHEN", "OPERATOR", "ACT", "REASON"], ...rows]);
}

/** How it stands in one line, after an act. */
export function sagaLine(saga: Saga): string {
  const at = saga.step === "" ? "" : ` at ${saga.step}`;
  return `${saga.sagaId} is ${stateName(saga.state)}${at}`;
}

function definitionOf({
  name,
  version,
  knownVersion,
}: {
  readonly name: string;
  readonly version: number;
  readonly knownVersion: boolean;
}): string {
  return `${name} v${version}${knownVersion ? "" : " (unknown here)"}`;
}

function dueOf({ state, dueTime }: Saga, now: Date): string {
  if (state === SagaState.PARKED) return "never by itself";
  if (state === SagaState.COMPLETED || state === SagaState.COMPENSATED) return "-";
  if (dueTime === undefined) return "now";
  const leftMs = timestampDate(dueTime).getTime() - now.getTime();
  return leftMs <= 0 ? "now" : `in ${span(leftMs)}`;
}

function ageOf(time: Timestamp | undefined, now: Date): string {
  return time === undefined ? "-" : span(now.getTime() - timestampDate(time).getTime());
}

function momentOf(time: Timestamp | undefined, now: Date): string {
  return time === undefined ? "-" : `${timestampDate(time).toISOString()} (${ageOf(time, now)} ago)`;
}

/** A time span in its largest unit: `45s`, `12m`, `3h`, `8d`. */
function span(durationMs: number): string {
  const seconds = Math.max(0, Math.round(durationMs / 1_000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

/** JSON without what names somebody's card or session: an operator needs none of it, and a terminal keeps what it showed. */
function withoutTokens(json: string): string {
  return json.replace(/("\w*token"\s*:\s*)"(?:[^"\\]|\\.)*"/gi, '$1"…"');
}

/** Text from elsewhere, fit for a terminal: one line, no control characters, not endless. */
function oneLine(text: string, most = 120): string {
  const plain = text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ").trim();
  return plain.length <= most ? plain : `${plain.slice(0, most - 1)}…`;
}
