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

/** What became of each cell, for the table. */
const outcomes = new Map<string, string>();
const order = { quantity: 1, customer: 0, declines: false, captureRefused: false, cancelAtMs: undefined };
const at = { t: "call", order: 0, nth: 0, forMs: 1_500 } as const;

test.each(remoteSteps.flatMap((step) => callFaults.map((what) => ({ step, what }))))(
  "going forward, $step: $what",
  async ({ step, what }) => {
    const faults: Fault[] = [{ ...at, step, kind: "run", what }];
    const { states, fired } = await simulate(database, { stock: 1, orders: [order], faults });
    outcomes.set(`${step} ${what}`, states.join());
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
    outcomes.set(`${step} undone ${what}`, states.join());
    expect({ states, fired }).toEqual({ states: ["compensated"], fired: 1 });
  },
);

const writeFaults = ["crash before", "crash after", "lost before", "lost after"] as const;
const writes = [...Array(9).keys()].flatMap((nth) => writeFaults.map((what) => ({ nth, what })));
test.each(writes)("at write $nth, both ways: $what", async ({ nth, what }) => {
  for (const captureRefused of [false, true]) {
    // Both processes: which of them carries the order out is theirs to find out.
    const faults: Fault[] = [0, 1].map((process) => ({ t: "write", process, nth, what }));
    const { states } = await simulate(database, { stock: 1, orders: [{ ...order, captureRefused }], faults });
    outcomes.set(`${nth} ${captureRefused ? "back" : "forward"} ${what}`, states.join());
    expect(states).toEqual([captureRefused ? "compensated" : "completed"]);
  }
});

test("the engine's matrix is as docs/proof has it", async () => {
  const table = (title: string, rows: readonly (readonly [string, string])[], columns: readonly string[]): string[] => [
    `## ${title}`,
    "",
    `| at | ${columns.join(" | ")} |`,
    `| --- |${" --- |".repeat(columns.length)}`,
    ...rows.map(
      ([name, key]) =>
        `| ${name} | ${columns.map((what) => outcomes.get(`${key} ${what}`) ?? "not tried").join(" | ")} |`,
    ),
    "",
  ];
  const text = [
    "# The matrix of the saga engine",
    "",
    "Written by `npx vitest run --mode system packages/saga/src/simulation/matrix -u`; every run of the system tests holds what becomes of each",
    "cell against this page. Two workers on a real Postgres, participants in memory, time that only the program moves (`simulate.ts`, whose",
    "`invariants.ts` says what must hold after each). The matrix of the shop's own services is `saga-matrix.md`.",
    "",
    ...table(
      "The call of a step",
      remoteSteps.map((step) => [step, step]),
      callFaults,
    ),
    ...table(
      "The call of a compensation",
      undone.map((step) => [step, `${step} undone`]),
      callFaults,
    ),
    ...table(
      "A write of a saga that goes forward",
      [...Array(9).keys()].map((nth) => [`write ${nth}`, `${nth} forward`]),
      writeFaults,
    ),
    ...table(
      "A write of a saga that turns back",
      [...Array(9).keys()].map((nth) => [`write ${nth}`, `${nth} back`]),
      writeFaults,
    ),
  ].join("\n");
  expect(text).not.toContain("not tried");
  await expect(text).toMatchFileSnapshot("../../../../docs/proof/saga-engine-matrix.md");
});
