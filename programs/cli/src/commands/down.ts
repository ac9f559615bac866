import { lockHolder } from "@weft/laptop";
import type { CommandContext } from "../context.js";
import { CommandError } from "../terminal.js";

const waitMs = 20_000;

export async function down({ state, terminal }: CommandContext): Promise<number> {
  const holder = lockHolder(state.lock);
  if (holder === undefined) {
    terminal.stdout.write("weft: the laptop is not up\n");
    return 0;
  }
  process.kill(holder.pid, "SIGTERM");
  const endMs = performance.now() + waitMs;
  while (lockHolder(state.lock)?.pid === holder.pid) {
    if (performance.now() > endMs) throw new CommandError(`process ${holder.pid} does not end`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  terminal.stdout.write("weft: down\n");
  return 0;
}
