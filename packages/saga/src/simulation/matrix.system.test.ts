import { createDatabase, type Database, migrate } from "@weft/store";
import { startTestDatabase } from "@weft/store/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sagaMigration } from "../rows/migration.js";
import { callFaults, type Fault, remoteSteps } from "./schedule.js";
import { simSchema, simulate } from "./simulate.js";

let home: Awaited<ReturnType<typeof startTestDatabase>>;
let database: Database;
beforeAll(async () => {
  home = await startTestDatabase();
  database = createDatabase({ url: home.url });
  await migrate(database, [sagaMigration, { name: "sim", sql: simSchema }]);
});
afterAll(async () => {
  await database[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
});

const order = { quantity: 1, customer: 0, declines: false, captureRefused: false, cancelAtMs: undefined };
const at = { t: "call", order: 0, nth: 0, forMs: 1_500 } as const;

test.each(remoteSteps.flatMap((step) => callFaults.map((what) => ({ step, what }))))(
  "going forward, $step: $what",
  async ({ step, what }) => {
    const faults: Fault[] = [{ ...at, step, kind: "run", what }];
    const { states, fired } = await simulate(database, { stock: 1, orders: [order], faults });
    expect(fired).toBe(1);
    // A refusal before the end of the pivot is the one fault that may turn an order back; past it, it is tried again.
    expect(states).toEqual([what === "refused this once" && step !== "label" ? "compensated" : "completed"]);
  },
);

const undone = ["reserve", "authorize"] as const;
test.each(undone.flatMap((step) => callFaults.map((what) => ({ step, what }))))(
  "going back, $step: $what",
  async ({ step, what }) => {
    const faults: Fault[] = [{ ...at, step, kind: "compensate", what }];
    const orders = [{ ...order, captureRefused: true }];
    const { states, fired } = await simulate(database, { stock: 1, orders, faults });
    expect({ states, fired }).toEqual({ states: ["compensated"], fired: 1 });
  },
);

const writes = [...Array(9).keys()].flatMap((nth) =>
  (["crash before", "crash after", "lost before", "lost after"] as const).map((what) => ({ nth, what })),
);
test.each(writes)("at write $nth, both ways: $what", async ({ nth, what }) => {
  for (const captureRefused of [false, true]) {
    // Both processes: which of them carries the order out is theirs to find out.
    const faults: Fault[] = [0, 1].map((process) => ({ t: "write", process, nth, what }));
    const { states } = await simulate(database, { stock: 1, orders: [{ ...order, captureRefused }], faults });
    expect(states).toEqual([captureRefused ? "compensated" : "completed"]);
  }
});
