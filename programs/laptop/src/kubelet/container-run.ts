import { spawn } from "node:child_process";
import { constants } from "node:os";
import { lastWords } from "./last-words.js";
import type { LogFile } from "./log-file.js";
import { identify, signalGroup } from "./process-identity.js";
import type { ProcessLedger } from "./process-ledger.js";

/** How a run of a container ended. */
export interface ContainerExit {
  readonly exitCode: number;
  readonly signal: NodeJS.Signals | undefined;
  /** Why it never ran, when it didn't. */
  readonly startError?: string;
  /** What it said last, when it failed. */
  readonly lastWords?: string;
}

/** One run of a container, from its start to its exit. */
export interface ContainerRun {
  readonly pid: number | undefined;
  /** Resolves once, when nothing of the run is left. */
  readonly exited: Promise<ContainerExit>;
  /** Asks it to end (SIGTERM). */
  terminate(): void;
  /** Ends it now, with every process that it started (SIGKILL). */
  kill(): void;
}

/** What to run. */
export interface ContainerCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/** Starts a process in a session and group of its own, its output appended to the log by itself, and enters it in the ledger. */
export function startProcess(options: {
  readonly name: string;
  readonly command: ContainerCommand;
  readonly log: LogFile;
  readonly ledger: ProcessLedger;
}): ContainerRun {
  const { command, ledger } = options;
  const output = options.log.startRun();
  const child = spawn(command.file, command.args, {
    env: command.env,
    cwd: command.cwd,
    detached: true,
    stdio: ["ignore", output.fd, output.fd],
  });
  output.close();
  const { pid } = child;
  const identity = pid === undefined ? undefined : identify(pid);
  try {
    if (identity !== undefined) ledger.add({ ...identity, name: options.name });
  } catch (error) {
    // Nobody would find it after a kill of this process, and its caller takes it for not started.
    if (pid !== undefined) signalGroup(pid, "SIGKILL");
    throw error;
  }
  const exited = new Promise<ContainerExit>((resolve) => {
    child.once("error", (error) => {
      if (pid === undefined) resolve({ exitCode: 128, signal: undefined, startError: error.message });
    });
    child.once("exit", (code, signal) => {
      if (pid !== undefined) {
        // As in a container, the first process takes all others with it.
        signalGroup(pid, "SIGKILL");
        ledger.remove(pid);
      }
      const words = code === 0 || signal !== null ? undefined : lastWords(options.log.path);
      resolve({
        exitCode: code ?? 128 + signalNumber(signal),
        signal: signal ?? undefined,
        ...(words === undefined ? {} : { lastWords: words }),
      });
    });
  });
  return {
    pid,
    exited,
    terminate: () => pid !== undefined && child.exitCode === null && child.signalCode === null && child.kill("SIGTERM"),
    kill: () =>
      pid !== undefined && child.exitCode === null && child.signalCode === null && signalGroup(pid, "SIGKILL"),
  };
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === null ? 0 : (constants.signals[signal] ?? 0);
}
