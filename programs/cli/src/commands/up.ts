import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { weftUp } from "@weft/laptop";
import type { CommandContext } from "../context.js";
import { createLogFile } from "../log-file.js";
import { CommandError } from "../terminal.js";

export async function up({ checkout, state, flag, text, terminal }: CommandContext): Promise<number> {
  const overlay = text("overlay") ?? join(checkout, "k8s/overlays/laptop");
  if (!existsSync(overlay)) throw new CommandError(`there is no overlay ${overlay}`, 2);
  const lookupHook = join(checkout, "programs/laptop/dist/lookup-hook.js");
  if (!existsSync(lookupHook)) throw new CommandError('not built: run "npm run build:bundles" first');
  return await weftUp({
    checkout,
    state,
    overlay: resolve(overlay),
    lookupHook,
    explain: flag("explain"),
    sample: !flag("no-sample"),
    env: terminal.env,
    screen: { output: terminal.stdout },
    errors: terminal.stderr,
    logger: createLogFile(state.log),
    onStopRequest(request) {
      process.on("SIGINT", request);
      process.on("SIGTERM", request);
      process.on("SIGHUP", request);
      return {
        [Symbol.dispose]() {
          process.off("SIGINT", request);
          process.off("SIGTERM", request);
          process.off("SIGHUP", request);
        },
      };
    },
  });
}
