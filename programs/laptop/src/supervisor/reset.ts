import { readdirSync, rmdirSync, rmSync } from "node:fs";
import { removeEmbeddedPostgres } from "@weft/store/embedded";
import { endLeftovers, enterUnlisted, ProcessLedger } from "../kubelet/process-ledger.js";
import { removeRun, type StateFolder } from "./state-folder.js";

/** Removes all that a laptop keeps: objects, databases, logs. It must be down; what a run that was killed left is ended first. */
export async function resetLaptop(state: StateFolder): Promise<void> {
  const ledger = ProcessLedger.open(state.processes);
  enterUnlisted(ledger, `LAPTOP_NAMES_FILE=${state.names}`);
  await endLeftovers(ledger, 5_000);
  await removeEmbeddedPostgres(state.postgres);
  removeRun(state);
  // Only what is ours: the folder may be one that somebody named.
  for (const path of [
    state.api,
    state.logs,
    state.log,
    `${state.log}.older`,
    state.compileCache,
    state.kubeconfig,
    state.applied,
    state.processes,
    state.lock,
  ]) {
    rmSync(path, { recursive: true, force: true });
  }
  if (readdirSync(state.root).length === 0) rmdirSync(state.root);
}
