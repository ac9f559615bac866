import { homedir } from "node:os";
import { join } from "node:path";
import { createKubeClient, isKubeError, type KubeClient, loadKubeconfig } from "@weft/kube";
import { lockHolder, type StateFolder } from "@weft/laptop";
import { CommandError, type Terminal } from "./terminal.js";

export type CommandName = "up" | "status" | "logs" | "restart" | "kubeconfig" | "down" | "reset" | "load" | "sagas";

/** What a command runs with. */
export interface CommandContext {
  readonly checkout: string;
  readonly state: StateFolder;
  /** The name given after the command; empty for commands that take none. */
  readonly operand: string;
  /** All names given after the command. */
  readonly operands: readonly string[];
  flag(option: string): boolean;
  text(option: string): string | undefined;
  readonly terminal: Terminal;
}

/**
 * The kubeconfig that `--kubeconfig` names; with `--context` alone that of KUBECONFIG, else the user's own.
 * `undefined` without either: the laptop is meant.
 */
export function kubeconfigOf(context: CommandContext): string | undefined {
  const file = context.text("kubeconfig");
  if (file !== undefined || context.text("context") === undefined) return file;
  return context.terminal.env["KUBECONFIG"] ?? join(homedir(), ".kube/config");
}

/**
 * Runs `work` with a client of the cluster that is meant by `--kubeconfig` and `--context`, else of the laptop that is up; without one, or when it
 * does not answer, says so in one line.
 */
export async function withCluster(
  context: CommandContext,
  work: (client: KubeClient) => Promise<number>,
): Promise<number> {
  const file = kubeconfigOf(context);
  if (file === undefined && lockHolder(context.state.lock) === undefined) {
    throw new CommandError('the laptop is not up: run "weft up" (or "npm start") first');
  }
  const name = context.text("context");
  const server = loadKubeconfig(file ?? context.state.kubeconfig, name === undefined ? {} : { context: name });
  if (!server.ok)
    throw new CommandError(file === undefined ? `the laptop is still starting: ${server.error}` : server.error);
  await using client = createKubeClient(server.value);
  try {
    return await work(client);
  } catch (error) {
    if (isKubeError(error)) throw new CommandError(error.message);
    if (error instanceof DOMException && error.name === "TimeoutError")
      throw new CommandError(`the ${file === undefined ? "laptop" : "cluster"} does not answer`);
    throw error;
  }
}
