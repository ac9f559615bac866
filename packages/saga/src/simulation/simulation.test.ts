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
  expect(await runSchedules({ runs: 36, seed: 1 })).toBeGreaterThan(10);
});
