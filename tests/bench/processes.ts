import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Path of a bundled program of the bench. */
export function programPath(name: string): string {
  return fileURLToPath(new URL(`${name}.js`, import.meta.url));
}

/** A program that runs, with its first line of output. */
export interface Started {
  readonly line: string;
  readonly process: ChildProcess;
}

/** Starts one of the bench's programs on one core. */
export function startPinned(core: number, program: string, args: readonly (string | number)[] = []): Promise<Started> {
  return started(program, "taskset", ["-c", String(core), process.execPath, programPath(program), ...args.map(String)]);
}

/** Starts one of the bench's programs on whichever core is free. */
export function startFree(program: string, args: readonly (string | number)[] = []): Promise<Started> {
  return started(program, process.execPath, [programPath(program), ...args.map(String)]);
}

async function started(program: string, command: string, args: readonly string[]): Promise<Started> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
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
