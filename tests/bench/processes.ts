import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Path of a bundled program of the bench. */
export function programPath(name: string): string {
  return fileURLToPath(new URL(`${name}.js`, import.meta.url));
}

/** Starts one of the bench's programs on one core and gives its first line of output. */
export async function startPinned(
  core: number,
  program: string,
  args: readonly (string | number)[] = [],
): Promise<{ readonly line: string; readonly process: ChildProcess }> {
  const child = spawn("taskset", ["-c", String(core), process.execPath, programPath(program), ...args.map(String)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const failed = once(child, "exit").then(([code]: unknown[]) => {
    throw new Error(`${program} ended with ${String(code)} before it printed a line`);
  });
  failed.catch(() => {}); // it ends after its line too, which is no failure
  const first = once(createInterface({ input: child.stdout }), "line").then(([line]: unknown[]) => String(line));
  return { line: await Promise.race([first, failed]), process: child };
}

/** Ends a program of the bench and waits for it. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  await gone;
}
