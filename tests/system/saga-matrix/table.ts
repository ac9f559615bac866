import { type Cell, faults, moments, reasons } from "./cells.js";

/** The matrix as a document: one table a fault, a line for each step, a column for each moment. */
export function tableOf(cells: readonly Cell[], outcomes: ReadonlyMap<Cell, string>): string {
  const rows = [...new Set(cells.map(({ row }) => row))];
  const tried = cells.filter(({ without }) => without === undefined);
  const tables = faults.flatMap((fault) => [
    `## ${fault[0]?.toUpperCase()}${fault.slice(1)}`,
    "",
    `| step | ${moments.join(" | ")} |`,
    `| --- |${" --- |".repeat(moments.length)}`,
    ...rows.map((row) => {
      const line = moments.map((moment) => {
        const cell = cells.find((one) => one.row === row && one.fault === fault && one.moment === moment);
        if (cell === undefined) return "";
        return cell.without === undefined ? (outcomes.get(cell) ?? "not tried") : `(${cell.without})`;
      });
      return `| ${row.title} | ${line.join(" | ")} |`;
    }),
    "",
  ]);
  return [
    "# The matrix of an order's saga",
    "",
    "Written by `npx vitest run --mode system tests/system/saga-matrix -u`; every run of the system tests tries each cell again and holds what",
    "becomes of it against this page. The steps are those of the released definition of `place-order`.",
    "",
    `${tried.length} cells are tried, ${cells.length - tried.length} have nothing to try and say why. Each is one order from a cart, carried out by the`,
    "services' own processes on a real Postgres, which meets one fault at one moment. After each:",
    "the ledger's and the bank's charges are what confirmed orders cost; no card was charged twice and nothing stays held; stock is conserved;",
    "the saga is completed or compensated; a confirmed order has one label and an empty cart, any other no open label and its cart as it was.",
    "",
    "- *orchestrator killed*: SIGKILL of the order service; *participant killed*: SIGKILL of the one that is called; both are started again.",
    "- *duplicate*: the message arrives twice; after a compensation, the step's own message arrives once more as well.",
    "- *late*: the message or its answer is held until the caller has given up, then arrives; a write arrives after its connection broke.",
    "- *database down*: the Postgres server of all services is stopped at that moment and started again.",
    "- *compensating*: the order is called off by who placed it while the last answer before the pivot is on its way.",
    "",
    ...Object.entries(reasons).map(([letter, reason]) => `- (${letter}) ${reason}`),
    "",
    ...tables,
  ].join("\n");
}
