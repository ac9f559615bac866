// Three durable steps by hand, with pg alone. Takes `load URL IN-FLIGHT MS`; prints a Round as JSON.
import { randomUUID } from "node:crypto";
import pg from "pg";
import { runLoad, warmUp } from "./load.js";
import { stepResult } from "./saga-definition.js";

const [, url = "", inFlight = "1", durationMs = "1000"] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: url, max: 10 });

/**
 * Four commits, and no fewer will do: a step may be called only once its intent is on disk, and its result may be relied on only once that
 * is. The first intent goes with the saga's row, each other one with the result before it, the last result with the saga's end. One row,
 * one statement a commit, prepared once.
 */
async function threeStepsByHand(): Promise<void> {
  const id = randomUUID();
  const input = Buffer.from("input");
  await pool.query({
    name: "begin",
    text: "INSERT INTO floor_sagas (id, state, step, input, results) VALUES ($1, 'running', 1, $2, '{}')",
    values: [id, input],
  });
  for (let step = 1; step <= 3; step += 1) {
    const result = await participant();
    await pool.query({
      name: "step",
      text: "UPDATE floor_sagas SET state = $2, step = $3, results = results || $4::bytea WHERE id = $1 AND step = $5",
      values: [id, step === 3 ? "completed" : "running", step + 1, Buffer.from(result), step],
    });
  }
}

async function participant(): Promise<string> {
  return stepResult;
}

await warmUp(threeStepsByHand, Number(inFlight));
process.stdout.write(`${JSON.stringify(await runLoad(threeStepsByHand, Number(inFlight), Number(durationMs)))}\n`);
await pool.end();
