import type { Terminal } from "../terminal.js";

/** Shows how a run goes: drawn over itself on a terminal, line by line elsewhere. */
export interface Screen {
  /** How often there is something new to show. */
  readonly everyMs: number;
  show(what: { readonly line: () => string; readonly table: () => string }): void;
}

export function createScreen(stdout: Terminal["stdout"]): Screen {
  if (stdout.isTTY !== true) return { everyMs: 5_000, show: ({ line }) => void stdout.write(`${line()}\n`) };
  let drawn = 0;
  return {
    everyMs: 1_000,
    show({ table }) {
      const width = stdout.columns ?? 120;
      // A line that wraps would be two when the cursor goes back up.
      const lines = table()
        .trimEnd()
        .split("\n")
        .map((line) => `${line.slice(0, width - 1)}\x1b[K\n`);
      stdout.write(`${drawn === 0 ? "" : `\x1b[${drawn}A`}${lines.join("")}\x1b[J`);
      drawn = lines.length;
    },
  };
}
