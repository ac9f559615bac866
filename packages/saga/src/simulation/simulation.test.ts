import { createDatabase, migrate } from "@weft/store";
import { startTestDatabase } from "@weft/store/testing";
import { expect, test } from "vitest";
import { sagaMigration } from "../rows/migration.js";
import { runSchedules } from "./schedules.js";
import { simSchema, simulate } from "./simulate.js";

test("without faults, orders are confirmed while there is stock and refused after", async () => {
  await using home = await startTestDatabase();
  await using database = createDatabase({ url: home.url });
  await migrate(database, [sagaMigration, { name: "sim", sql: simSchema }]);
  const order = { quantity: 1, customer: 0, declines: false, captureRefused: false, cancelAtMs: undefined };
  const orders = [order, { ...order, customer: 1 }, order];
  const { states } = await simulate(database, { stock: 2, orders, faults: [] });
  expect(states.toSorted()).toEqual(["compensated", "completed", "completed"]);
});

test("under any few faults every saga ends right and nothing is lost or done twice", async () => {
  expect(await runSchedules({ runs: 24, seed: 1 })).toBeGreaterThan(10);
}, 300_000);

test("a refused pivot does not settle an earlier call that may yet arrive: nobody is charged for an order that was turned back", async () => {
  await using home = await startTestDatabase();
  await using database = createDatabase({ url: home.url });
  await migrate(database, [sagaMigration, { name: "sim", sql: simSchema }]);
  const order = { quantity: 1, customer: 0, declines: false, captureRefused: false, cancelAtMs: undefined };
  const at = { t: "call", order: 0, step: "capture", kind: "run" } as const;
  const { states, fired } = await simulate(database, {
    stock: 1,
    orders: [order],
    faults: [
      { ...at, nth: 0, what: "late call", forMs: 500 },
      { ...at, nth: 1, what: "refused this once", forMs: 10 },
    ],
  });
  expect({ states, fired }).toEqual({ states: ["completed"], fired: 2 });
});

test("a success that comes after its deadline, in a saga that turned back by then, is undone", async () => {
  await using home = await startTestDatabase();
  await using database = createDatabase({ url: home.url });
  await migrate(database, [sagaMigration, { name: "sim", sql: simSchema }]);
  const order = { quantity: 1, customer: 0, declines: false, captureRefused: false, cancelAtMs: 100 };
  const faults = [
    { t: "call", order: 0, step: "reserve", kind: "run", nth: 0, what: "late call", forMs: 2_000 },
  ] as const;
  expect((await simulate(database, { stock: 1, orders: [order], faults })).states).toEqual(["compensated"]);
});

test("a worker that was paused while it asked, and whose lease was taken meanwhile, does not call", async () => {
  await using home = await startTestDatabase();
  await using database = createDatabase({ url: home.url });
  await migrate(database, [sagaMigration, { name: "sim", sql: simSchema }]);
  const order = { quantity: 1, customer: 1, declines: false, captureRefused: false, cancelAtMs: undefined };
  const { states } = await simulate(database, {
    stock: 2,
    orders: [order, order],
    faults: [
      { t: "call", order: 0, step: "reserve", kind: "run", nth: 0, what: "crash before the call", forMs: 10 },
      { t: "write", process: 2, nth: 2, what: "crash after" },
      { t: "call", order: 1, step: "authorize", kind: "run", nth: 0, what: "turned away", forMs: 10 },
      { t: "call", order: 0, step: "authorize", kind: "run", nth: 0, what: "crash before the call", forMs: 10 },
      { t: "call", order: 1, step: "authorize", kind: "ask", nth: 0, what: "paused", forMs: 1_101 },
      { t: "call", order: 0, step: "reserve", kind: "run", nth: 2, what: "crash before the call", forMs: 10 },
      { t: "write", process: 0, nth: 0, what: "lost after" },
      { t: "call", order: 0, step: "reserve", kind: "ask", nth: 0, what: "crash before the call", forMs: 10 },
    ],
  });
  expect(states).toEqual(["completed", "completed"]);
});
