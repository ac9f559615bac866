import { formatTable } from "../terminal.js";
import type { MethodCounts, Tally } from "./ledger.js";

/** How a run stands, beside what the ledger knows. */
export interface Progress {
  readonly elapsedMs: number;
  /** Calls each second that were asked for. */
  readonly perSecond: number;
  readonly present: number;
  readonly window: MethodCounts;
  /** How long the window is. */
  readonly windowMs: number;
}

/** One line on how things go now; for logs and pipes. */
export function progressLine(progress: Progress, tally: Tally): string {
  return [...paceOf(progress), ...outcomeOf(progress, tally)].join("  ");
}

/** The same and every method; for a screen that is drawn anew. */
export function progressTable(progress: Progress, tally: Tally): string {
  const head = `${paceOf(progress).join("  ")}\n${outcomeOf(progress, tally).join("  ")}\n`;
  return `${head}\n${methodTable(tally, progress.elapsedMs)}${endingTable(tally)}`;
}

function paceOf({ elapsedMs, perSecond, window, windowMs }: Progress): readonly string[] {
  return [
    clockTime(elapsedMs),
    `${rate(window.calls, windowMs)} calls/s of ${perSecond}`,
    `p50 ${ms(window.p50Ms)} p95 ${ms(window.p95Ms)} p99 ${ms(window.p99Ms)} ms`,
  ];
}

function outcomeOf({ present }: Progress, tally: Tally): readonly string[] {
  return [
    `${present} in the shop`,
    `errors ${tally.all.failed}`,
    ...(tally.turnedAway === 0 ? [] : [`turned away ${tally.turnedAway}`]),
    `orders ${ordersOf(tally)}`,
  ];
}

/** What came of the whole run. */
export function summary(tally: Tally, elapsedMs: number): string {
  const turnedAway =
    tally.turnedAway === 0
      ? ""
      : `${tally.turnedAway} more would have come, but everybody was in the shop still: it is slow, or --users is low for --rate\n`;
  return (
    `\n${tally.visits} visits in ${clockTime(elapsedMs)}, ${tally.all.calls} calls, orders ${ordersOf(tally)}\n${turnedAway}\n` +
    `${methodTable(tally, elapsedMs)}${endingTable(tally)}\n` +
    (tally.all.failed === 0 ? "no unexpected errors\n" : `${tally.all.failed} unexpected errors\n`)
  );
}

/** The same for programs; times in milliseconds. */
export function summaryJson(
  tally: Tally,
  run: { readonly gateway: string; readonly seed: number; readonly rate: number; readonly users: number },
  elapsedMs: number,
): string {
  const document = {
    ...run,
    seconds: Math.round(elapsedMs) / 1_000,
    visits: tally.visits,
    turnedAway: tally.turnedAway,
    calls: tally.all,
    methods: Object.fromEntries(tally.methods),
    endings: tally.endings,
    orders: Object.fromEntries(tally.orders),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** As wide as the narrowest usual terminal. */
const nameWidth = 29;
const numberWidths = [7, 6, 6, 6, 6, 6, 6] as const;

function methodTable(tally: Tally, elapsedMs: number): string {
  const line = (name: string, cells: readonly string[]): string =>
    `${[name.padEnd(nameWidth), ...cells.map((cell, index) => cell.padStart(numberWidths[index] ?? 0))].join(" ")}\n`;
  const row = (name: string, counts: MethodCounts): string =>
    line(name, [
      String(counts.calls),
      rate(counts.calls, elapsedMs),
      ms(counts.p50Ms),
      ms(counts.p95Ms),
      ms(counts.p99Ms),
      ms(counts.maxMs),
      String(counts.failed),
    ]);
  const rows = [...tally.methods].map(([name, counts]) => row(name, counts));
  return [
    line("METHOD", ["CALLS", "PER S", "P50 MS", "P95", "P99", "MAX", "ERRORS"]),
    ...rows,
    row("all", tally.all),
  ].join("");
}

/** Refusals and failures by method and code; nothing when there are none. */
function endingTable(tally: Tally): string {
  if (tally.endings.length === 0) return "";
  const rows = tally.endings.map(({ method, code, t, count, said, traceId }) => [
    method,
    code,
    String(count),
    t === "refused"
      ? "the shop's right"
      : `unexpected${said === "" ? "" : `: ${said}`}${traceId === "" ? "" : ` (trace ${traceId})`}`,
  ]);
  return `\n${formatTable([["METHOD", "CODE", "COUNT", ""], ...rows])}`;
}

function ordersOf({ orders }: Tally): string {
  if (orders.size === 0) return "none";
  return [...orders].map(([state, count]) => `${count} ${state.replaceAll("_", " ")}`).join(", ");
}

function rate(calls: number, periodMs: number): string {
  return periodMs <= 0 ? "0.0" : ((calls * 1_000) / periodMs).toFixed(1);
}

function ms(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1);
}

function clockTime(elapsedMs: number): string {
  const seconds = Math.floor(elapsedMs / 1_000);
  return `${String(Math.floor(seconds / 60)).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")}`;
}
