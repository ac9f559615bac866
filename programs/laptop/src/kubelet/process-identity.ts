import { readdirSync, readFileSync } from "node:fs";

/**
 * Names one process for good: the kernel hands pids out again, but never the same pid with the same start time.
 * `startTime` is field 22 of `/proc/<pid>/stat`, in clock ticks since boot.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
}

interface ProcessStat {
  readonly state: string;
  readonly processGroup: number;
  readonly startTime: string;
}

/** Who the process with this pid is now; `undefined` when there is none, or only a zombie. */
export function identify(pid: number): ProcessIdentity | undefined {
  const stat = readStat(pid);
  return stat === undefined || stat.state === "Z" ? undefined : { pid, startTime: stat.startTime };
}

/** Whether that very process still runs (a zombie does not). */
export function isAlive(process: ProcessIdentity): boolean {
  return identify(process.pid)?.startTime === process.startTime;
}

/** The living members of a process group (a Pod's container is one), zombies left out. */
export function membersOfGroup(group: number): readonly ProcessIdentity[] {
  const members: ProcessIdentity[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readStat(Number(name));
    if (stat === undefined || stat.state === "Z" || stat.processGroup !== group) continue;
    members.push({ pid: Number(name), startTime: stat.startTime });
  }
  return members;
}

/** Leaders of process groups that were started with this in their environment (`NAME=value`); those of other users are not seen. */
export function leadersWith(variable: string): readonly ProcessIdentity[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    const pid = Number(name);
    const stat = readStat(pid);
    if (stat === undefined || stat.state === "Z" || stat.processGroup !== pid) return [];
    return environmentOf(pid).includes(variable) ? [{ pid, startTime: stat.startTime }] : [];
  });
}

function environmentOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    // It ended, or is somebody else's.
    return [];
  }
}

/** Sends a signal to a process group; a group that is gone is no error. */
export function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch (error) {
    if (!isNoSuchProcess(error)) throw error;
  }
}

/** Whether a kill failed because there is nothing to kill any more. */
export function isNoSuchProcess(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ESRCH";
}

/** Which boot of the machine this is; pids and start times are only comparable within one. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

function readStat(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    // The process ended: that is the answer.
    return undefined;
  }
  // The command name is in parentheses and may hold anything, parentheses too: fields count from the last one (proc(5)).
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state, , processGroup] = fields;
  const startTime = fields[19];
  if (state === undefined || processGroup === undefined || startTime === undefined) return undefined;
  return { state, processGroup: Number(processGroup), startTime };
}
