import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Clock, sleep, systemClock } from "@weft/foundation";

/** A running server as its `postmaster.pid` describes it. */
export interface Postmaster {
  readonly pid: number;
  readonly port: number;
  readonly host: string;
  /** False while it starts, recovers or shuts down. */
  readonly ready: boolean;
}

/**
 * The server that runs on this data folder now, or nothing. A server outlives the process that started it when that is
 * killed, so this file is the only trustworthy record; a stale one, whose pid is gone or is another program's, counts as nothing.
 */
export function findPostmaster(data: string): Postmaster | undefined {
  let text: string;
  try {
    text = readFileSync(join(data, "postmaster.pid"), "utf8");
  } catch {
    // No file: no server was started here, or it has shut down.
    return undefined;
  }
  // pid, data folder, start time, port, socket folder, listen address, shared memory, status
  const lines = text.split("\n").map((line) => line.trim());
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 1 || !servesData(pid, data)) return undefined;
  return { pid, port: Number(lines[3] ?? 0), host: lines[5] ?? "", ready: lines[7] === "ready" };
}

/** True while the process exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch {
    // ESRCH: gone. EPERM cannot happen to our own server.
    return false;
  }
}

/**
 * Ends a server: fast shutdown first (sessions are cut off, everything is written), then immediate, then by force.
 * The last two cost a recovery at the next start, never data.
 */
export async function stopPostmaster(
  pid: number,
  options: { readonly fastMs: number; readonly clock?: Clock },
): Promise<void> {
  const { clock = systemClock } = options;
  const steps = [
    { signal: "SIGINT", waitMs: options.fastMs },
    { signal: "SIGQUIT", waitMs: 2_000 },
    { signal: "SIGKILL", waitMs: 2_000 },
  ] as const;
  for (const step of steps) {
    if (!isAlive(pid)) return;
    try {
      process.kill(pid, step.signal);
    } catch {
      // It ended between the question and the signal.
      return;
    }
    const untilMs = clock.nowMs() + step.waitMs;
    while (clock.nowMs() < untilMs) {
      if (!isAlive(pid)) return;
      await sleep(20, { clock, signal: never });
    }
  }
  if (isAlive(pid)) throw new Error(`embedded postgres: process ${pid} does not end`);
}

const never = new AbortController().signal;

/** Whether the process is a Postgres server of this very data folder: pids are used again. */
function servesData(pid: number, data: string): boolean {
  if (!isAlive(pid)) return false;
  try {
    const command = existsSync(`/proc/${pid}/cmdline`)
      ? readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")
      : execFileSync("ps", ["-o", "args=", "-p", String(pid)], { encoding: "utf8" });
    return command.includes(`-D ${data} `);
  } catch {
    // It ended while we looked.
    return false;
  }
}

/** A child that ended but was not waited for yet still answers signals. */
function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
  } catch {
    // No /proc on this system: Node reaps its own children there soon enough.
    return false;
  }
}
