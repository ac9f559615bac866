import { existsSync } from "node:fs";
import { lockHolder, resetLaptop } from "@weft/laptop";
import type { CommandContext } from "../context.js";
import { CommandError } from "../terminal.js";

export async function reset({ state, terminal }: CommandContext): Promise<number> {
  if (lockHolder(state.lock) !== undefined) throw new CommandError('the laptop is up: run "weft down" first');
  if (!existsSync(state.root)) {
    terminal.stdout.write("weft: there is nothing to remove\n");
    return 0;
  }
  await resetLaptop(state);
  terminal.stdout.write(`weft: removed all data of ${state.root}\n`);
  return 0;
}
