import { existsSync } from "node:fs";
import type { CommandContext } from "../context.js";
import { CommandError } from "../terminal.js";

export async function kubeconfig({ state, terminal }: CommandContext): Promise<number> {
  if (!existsSync(state.kubeconfig)) throw new CommandError('there is no kubeconfig yet: run "weft up" first');
  terminal.stdout.write(`${state.kubeconfig}\n`);
  return 0;
}
