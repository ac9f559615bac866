import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import {
  bootId,
  identify,
  isAlive,
  leadersWith,
  membersOfGroup,
  type ProcessIdentity,
  signalGroup,
} from "./process-identity.js";

/** A process that the laptop started, leader of a group of its own. */
export interface LedgerEntry extends ProcessIdentity {
  /** What it is to a reader, such as `shop/orders-5d8c-x2x9z`. */
  readonly name: string;
}

/**
 * The processes that are running, on disk: what a supervisor that is killed leaves behind is found and ended by the next one.
 * Written before anything else happens to a new process, whole, by rename.
 */
export class ProcessLedger {
  readonly #path: string;
  readonly #entries = new Map<number, LedgerEntry>();

  private constructor(path: string) {
    this.#path = path;
  }

  /** Opens the ledger of a state folder; what an earlier supervisor wrote is in `entries`. */
  static open(path: string): ProcessLedger {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const ledger = new ProcessLedger(path);
    for (const entry of readEntries(path)) ledger.#entries.set(entry.pid, entry);
    return ledger;
  }

  get entries(): readonly LedgerEntry[] {
    return [...this.#entries.values()];
  }

  /** Throws when it can't be written; the entry is not kept then. */
  add(entry: LedgerEntry): void {
    this.#entries.set(entry.pid, entry);
    try {
      this.#write();
    } catch (error) {
      this.#entries.delete(entry.pid);
      throw error;
    }
  }

  /** Never throws: an entry that stays on a full disk is harmless, as no other process fits it. */
  remove(pid: number): void {
    if (!this.#entries.delete(pid)) return;
    try {
      this.#write();
    } catch {
      // The next change that can be written takes it out.
    }
  }

  #write(): void {
    const draft = `${this.#path}.new`;
    writeFileSync(draft, JSON.stringify({ boot: bootId(), processes: this.entries }, undefined, 2), { mode: 0o600 });
    renameSync(draft, this.#path);
  }
}

/** Enters what runs with this in its environment: a supervisor that was killed between a start and its entry left it unlisted. */
export function enterUnlisted(ledger: ProcessLedger, variable: string): void {
  const listed = new Set(ledger.entries.filter(isAlive).map(({ pid }) => pid));
  for (const leader of leadersWith(variable)) {
    if (!listed.has(leader.pid)) ledger.add({ ...leader, name: "unlisted" });
  }
}

/**
 * Ends what an earlier supervisor left running: SIGTERM to each group, SIGKILL to what is still there after `graceMs`.
 * A pid that belongs to another process by now (another start time) is left alone. Returns what was ended.
 */
export async function endLeftovers(ledger: ProcessLedger, graceMs: number): Promise<readonly LedgerEntry[]> {
  const left: LedgerEntry[] = [];
  for (const entry of ledger.entries) {
    // A group may outlive its leader; while it does, the kernel gives its number to no new process.
    const orphaned = identify(entry.pid) === undefined && membersOfGroup(entry.pid).length > 0;
    if (isAlive(entry) || orphaned) left.push(entry);
    else ledger.remove(entry.pid);
  }
  for (const entry of left) signalGroup(entry.pid, "SIGTERM");
  const endMs = performance.now() + graceMs;
  const runs = (entry: LedgerEntry): boolean => isAlive(entry) || membersOfGroup(entry.pid).length > 0;
  let running = left.filter(runs);
  while (running.length > 0 && performance.now() < endMs) {
    await new Promise((resolve) => setTimeout(resolve, 25));
    running = running.filter(runs);
  }
  for (const entry of running) signalGroup(entry.pid, "SIGKILL");
  for (const entry of left) ledger.remove(entry.pid);
  return left;
}

function readEntries(path: string): readonly LedgerEntry[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    // No ledger: nothing was left.
    return [];
  }
  return parseEntries(text);
}

function parseEntries(text: string): readonly LedgerEntry[] {
  let ledger: unknown;
  try {
    ledger = JSON.parse(text);
  } catch {
    // A ledger is replaced whole: one that can't be read was never ours.
    return [];
  }
  if (typeof ledger !== "object" || ledger === null || !("processes" in ledger && "boot" in ledger)) return [];
  // Pids and start times mean nothing after a reboot.
  if (ledger.boot !== bootId()) return [];
  return Array.isArray(ledger.processes) ? ledger.processes.flatMap(parseEntry) : [];
}

function parseEntry(entry: unknown): readonly LedgerEntry[] {
  if (typeof entry !== "object" || entry === null) return [];
  if (!("pid" in entry && "startTime" in entry && "name" in entry)) return [];
  const { pid, startTime, name } = entry;
  if (typeof pid !== "number" || typeof startTime !== "string" || typeof name !== "string") return [];
  return pid > 1 ? [{ pid, startTime, name }] : [];
}
