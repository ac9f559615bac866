import { createDatabase, migrate } from "@weft/store";
import { startTestDatabase } from "@weft/store/testing";
import fc from "fast-check";
import { sagaMigration } from "../rows/migration.js";
import { anySchedule } from "./schedule.js";
import { simSchema, simulate } from "./simulate.js";

/** Runs so many random schedules on a database of their own; a failure is shrunk and names its seed and path. Gives how many faults fired. */
export async function runSchedules(options: { readonly runs: number; readonly seed: number }): Promise<number> {
  await using home = await startTestDatabase();
  await using database = createDatabase({ url: home.url });
  await migrate(database, [sagaMigration, { name: "sim", sql: simSchema }]);
  let fired = 0;
  let done = 0;
  await fc.assert(
    fc.asyncProperty(anySchedule, async (schedule) => {
      done += 1;
      if (done % 50 === 0) await database.query("TRUNCATE weft_sagas, weft_saga_workers, weft_saga_locks, sim_orders");
      fired += (await simulate(database, schedule)).fired;
    }),
    { numRuns: options.runs, seed: options.seed },
  );
  return fired;
}
