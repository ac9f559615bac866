// The same three steps by DBOS, as installed from npm and with its own defaults. Takes
//   load URL IN-FLIGHT MS     prints a Round as JSON
//   interrupt URL COUNT       prints a line once so many workflows hang in a step, and goes on hanging
//   recover URL               takes up what was interrupted, until it is ended
import { DBOS } from "@dbos-inc/dbos-sdk";
import { runLoad, warmUp } from "./load.js";
import { forever, stepResult, stopsIn } from "./saga-definition.js";

const [mode = "load", url = "", first = "1", durationMs = "1000"] = process.argv.slice(2);
let hanging = 0;

const workflow = DBOS.registerWorkflow(
  async (input: string): Promise<string> => {
    const results: string[] = [];
    for (const [index, name] of ["first", "second", "third"].entries()) {
      results.push(
        await DBOS.runStep(
          async () => {
            if (mode === "interrupt" && stopsIn(index, input)) await forever(onStop);
            return stepResult;
          },
          { name },
        ),
      );
    }
    return results.at(-1) ?? "";
  },
  { name: "three-steps" },
);

function onStop(): void {
  hanging += 1;
  if (hanging === Number(first)) process.stdout.write("all hang\n");
}

DBOS.setConfig({ name: "bench", systemDatabaseUrl: url, logLevel: "error", applicationVersion: "1" });
await DBOS.launch();
if (mode === "load") {
  const call = (): Promise<string> => workflow("");
  await warmUp(call, Number(first));
  process.stdout.write(`${JSON.stringify(await runLoad(call, Number(first), Number(durationMs)))}\n`);
  await DBOS.shutdown();
} else if (mode === "interrupt") {
  for (let number = 0; number < Number(first); number += 1)
    await DBOS.startWorkflow(workflow, { workflowID: `interrupted-${number}` })(String(number));
} else {
  process.stdout.write("started\n");
}
