import type { Writable } from "node:stream";
import type { Watch } from "@weft/foundation";
import type { DeploymentLine } from "./readiness.js";

/** Where the board is shown. */
export interface Screen {
  readonly output: Writable & { readonly isTTY?: boolean; readonly columns?: number };
}

/** Shows the Deployments becoming ready: a board that is drawn over on a terminal, a line for each change elsewhere. */
export function showBoard(options: {
  readonly screen: Screen;
  readonly lines: Watch<readonly DeploymentLine[]>;
}): Disposable {
  const { output } = options.screen;
  return output.isTTY === true ? liveBoard(output, options.lines) : plainBoard(output, options.lines);
}

function liveBoard(output: Screen["output"], lines: Watch<readonly DeploymentLine[]>): Disposable {
  let drawn = 0;
  const draw = (): void => {
    // A terminal that doesn't know its width says 0.
    const width = (output.columns || 80) - 1;
    const rows = format(lines.value).map((row) => (row.length > width ? `${row.slice(0, width - 1)}…` : row));
    const up = drawn > 0 ? `\u001b[${drawn}A` : "";
    output.write(`${up}\r${rows.map((row) => `\u001b[2K${colour(row)}\n`).join("")}\u001b[J`);
    drawn = rows.length;
  };
  const timer = setInterval(draw, 100);
  draw();
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      draw();
    },
  };
}

function plainBoard(output: Screen["output"], lines: Watch<readonly DeploymentLine[]>): Disposable {
  const said = new Map<string, string>();
  const say = (now: readonly DeploymentLine[]): void => {
    const rows = format(now);
    for (const [index, line] of now.entries()) {
      const key = `${line.namespace}/${line.name}`;
      const row = rows[index] ?? "";
      // Reasons change often; how many are ready is worth a line of its own, and a container that keeps failing is.
      const brief = `${line.ready}/${line.wanted} ${line.done} ${line.why?.includes("back-off") === true}`;
      if (said.get(key) === brief) continue;
      said.set(key, brief);
      output.write(`${row}\n`);
    }
  };
  say(lines.value);
  return lines.subscribe(say);
}

/** One row for each Deployment: name, how many are ready, and why not more. */
export function format(lines: readonly DeploymentLine[]): readonly string[] {
  const width = Math.max(0, ...lines.map(({ name, namespace }) => namespace.length + name.length + 1));
  return lines.map(({ name, namespace, ready, wanted, done, why }) => {
    const state = done ? "ready" : brief(why ?? "starting");
    return `  ${done ? "●" : "○"} ${`${namespace}/${name}`.padEnd(width)}  ${ready}/${wanted}  ${state}`;
  });
}

/** What a readiness probe answered in JSON, cut down to its reasons. */
function brief(why: string): string {
  const reasons = [...why.matchAll(/"reason":\s*"((?:[^"\\]|\\.)*)"/g)].map(([, reason = ""]) =>
    reason.replaceAll('\\"', '"'),
  );
  return reasons.length === 0 ? why : `${why.split(": ", 1)[0]}: ${reasons.join("; ")}`;
}

function colour(row: string): string {
  return row.replace("●", "\u001b[32m●\u001b[0m").replace("○", "\u001b[33m○\u001b[0m");
}
