import { userInfo } from "node:os";
import { type CommandContext, withCluster } from "../context.js";
import { actOnSagas, parseRequest } from "../sagas/act.js";

const textOptions = ["only", "name", "limit", "reason", "result"];

/** The operator's hand on the sagas of a service. */
export async function sagas(context: CommandContext): Promise<number> {
  const options = new Map<string, string>();
  for (const option of textOptions) {
    const value = context.text(option);
    if (value !== undefined) options.set(option, value);
  }
  if (context.flag("force")) options.set("force", "true");
  const { operands } = context;
  const ask = { operands, options, service: context.text("service") ?? "orders", operator: operatorOf() };
  // What is asked wrongly is said although no cluster is up.
  parseRequest(ask);
  return await withCluster(context, async (client) => {
    context.terminal.stdout.write(await actOnSagas(client, ask));
    return 0;
  });
}

/** Who is at the keyboard: the user of this machine. */
function operatorOf(): string {
  try {
    return userInfo().username;
  } catch {
    // A container's user may have no name.
    return `uid-${process.getuid?.() ?? "unknown"}`;
  }
}
