// Sagas as a service has them. Takes
//   migrate URL               makes the tables
//   load URL IN-FLIGHT MS     prints a Round as JSON
//   interrupt URL COUNT       prints a line once so many sagas hang in a step, and goes on hanging
//   recover URL               takes up what was interrupted, until it is ended
import { randomUUID } from "node:crypto";
import { Scope } from "@weft/foundation";
import { createSagas, sagaChannel, sagaMigration } from "@weft/saga";
import { createDatabase, createNotifications, migrate } from "@weft/store";
import { runLoad, warmUp } from "./load.js";
import { threeSteps } from "./saga-definition.js";

const [mode = "load", url = "", first = "1", durationMs = "1000"] = process.argv.slice(2);
let hanging = 0;
const definition = threeSteps(mode === "interrupt" ? onStop : undefined);

function onStop(): void {
  hanging += 1;
  if (hanging === Number(first)) process.stdout.write("all hang\n");
}

await using scope = new Scope();
const database = scope.use(createDatabase({ url }));
await migrate(database, [sagaMigration]);
if (mode === "migrate") {
  process.stdout.write("migrated\n");
} else {
  const notifications = scope.use(createNotifications({ url, channel: sagaChannel }));
  const mostRunning = mode === "interrupt" ? Number(first) : 200;
  const sagas = scope.use(createSagas({ database, notifications, definitions: [definition], mostRunning }));
  scope.spawn((signal) => sagas.work(signal));
  // The first renewal of the lease: from then on what is started here runs here.
  await sagas.outcome(definition, await started("warm"));
  if (mode === "load") {
    const call = async (): Promise<void> => {
      const outcome = await sagas.outcome(definition, await started(""));
      if (outcome.t !== "completed") throw new Error(`a saga of the bench ended as ${outcome.t}`);
    };
    await warmUp(call, Number(first));
    process.stdout.write(`${JSON.stringify(await runLoad(call, Number(first), Number(durationMs)))}\n`);
  } else if (mode === "interrupt") {
    for (let number = 0; number < Number(first); number += 1)
      await sagas.start(definition, { id: `interrupted-${number}`, input: { value: String(number) } });
    await new Promise(() => {});
  } else {
    process.stdout.write("started\n");
    await new Promise(() => {});
  }

  async function started(value: string): Promise<string> {
    const id = randomUUID();
    await sagas.start(definition, { id, input: { value } });
    return id;
  }
}
