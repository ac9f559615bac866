import { createHash } from "node:crypto";
import { existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** Where one laptop keeps things. */
export interface StateFolder {
  /** What a second start goes on from; `.weft` of the checkout unless told otherwise. */
  readonly root: string;
  readonly kubeconfig: string;
  /** The API's objects. */
  readonly api: string;
  readonly postgres: string;
  /** What the Pods wrote. */
  readonly logs: string;
  /** What the laptop itself wrote. */
  readonly log: string;
  /** Who runs this laptop now. */
  readonly lock: string;
  /** Which processes run. */
  readonly processes: string;
  /** What the last `up` applied. */
  readonly applied: string;
  /** Node's cache of compiled code. */
  readonly compileCache: string;
  /** In shared memory, gone with the laptop: Pod folders and the file of names. */
  readonly run: string;
  /** The file of names, which each Pod's environment points to. */
  readonly names: string;
}

export function stateFolderOf(folder: string): StateFolder {
  const root = resolve(folder);
  const hash = createHash("sha256").update(root).digest("hex").slice(0, 12);
  const shared = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  return {
    root,
    kubeconfig: join(root, "kubeconfig"),
    api: join(root, "api"),
    postgres: join(root, "postgres"),
    logs: join(root, "logs"),
    log: join(root, "laptop.log"),
    lock: join(root, "lock"),
    processes: join(root, "processes.json"),
    applied: join(root, "applied.json"),
    compileCache: join(root, "compile-cache"),
    run: join(shared, `weft-${hash}`),
    names: join(shared, `weft-${hash}`, "names.json"),
  };
}

/** Makes the folders of a new run, for this user alone; what a run that was killed left in them goes. */
export function prepareRun(state: StateFolder): void {
  mkdirSync(state.root, { recursive: true, mode: 0o700 });
  rmSync(state.logs, { recursive: true, force: true });
  removeRun(state);
  mkdirSync(state.run, { mode: 0o700 });
  // A folder in shared memory could have been made by somebody else, to read what we put there.
  if (statSync(state.run).uid !== process.getuid?.()) throw new Error(`${state.run} belongs to another user`);
}

/** Removes what a run keeps in shared memory. */
export function removeRun(state: StateFolder): void {
  rmSync(state.run, { recursive: true, force: true });
}
