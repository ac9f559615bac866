import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { sleep } from "@weft/foundation";
import { identify, isAlive, type ProcessIdentity } from "../kubelet/process-identity.js";

/** Held by the one supervisor of a checkout. */
export interface SupervisorLock extends Disposable {
  /** True when an earlier holder died without giving it back. */
  readonly stale: boolean;
  /** Resolves true when the lock is gone or somebody else's: the folder was removed under its holder. False when the signal aborts. */
  lost(signal: AbortSignal): Promise<boolean>;
}

/** How often the holder looks whether the lock is still its own. */
const lookEveryMs = 1_000;

/** Who holds the lock and is alive. */
export function lockHolder(path: string): ProcessIdentity | undefined {
  const holder = readHolder(path);
  return holder !== undefined && isAlive(holder) ? holder : undefined;
}

/**
 * Takes the lock; `undefined` when a living supervisor holds it. A file with pid and start time, made whole by a link:
 * of two that try at once, one gets it. That of a dead holder is put aside first, by a rename that only one can win.
 */
export function takeLock(path: string): SupervisorLock | undefined {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const self = identify(process.pid);
  if (self === undefined) throw new Error("this process is not in /proc");
  const draft = `${path}.${process.pid}`;
  const text = JSON.stringify(self);
  let stale = false;
  for (let attempt = 0; attempt < 5; attempt++) {
    writeFileSync(draft, text, { mode: 0o600 });
    try {
      linkSync(draft, path);
      return { stale, lost: (signal) => untilLost(path, text, signal), [Symbol.dispose]: () => release(path, text) };
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
      if (lockHolder(path) !== undefined) return undefined;
      stale = putAside(path) || stale;
    } finally {
      rmSync(draft, { force: true });
    }
  }
  return undefined;
}

/** Moves the lock of a dead holder away; one that a living process took meanwhile is put back. */
function putAside(path: string): boolean {
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
    if (lockHolder(aside) !== undefined) linkSync(aside, path);
    return true;
  } catch {
    // Another process did it first.
    return false;
  } finally {
    rmSync(aside, { force: true });
  }
}

function release(path: string, text: string): void {
  if (isHeld(path, text)) rmSync(path, { force: true });
}

async function untilLost(path: string, text: string, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    if (!isHeld(path, text)) return true;
    await sleep(lookEveryMs, { signal }).catch(() => {
      // Aborted: the loop sees it.
    });
  }
  return false;
}

function isHeld(path: string, text: string): boolean {
  try {
    return readFileSync(path, "utf8") === text;
  } catch {
    // Gone.
    return false;
  }
}

function readHolder(path: string): ProcessIdentity | undefined {
  try {
    return parseHolder(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    // No lock, or none that we wrote.
    return undefined;
  }
}

function parseHolder(value: unknown): ProcessIdentity | undefined {
  if (typeof value !== "object" || value === null || !("pid" in value && "startTime" in value)) return undefined;
  const { pid, startTime } = value;
  return typeof pid === "number" && typeof startTime === "string" ? { pid, startTime } : undefined;
}
