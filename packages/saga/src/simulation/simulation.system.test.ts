import { expect, test } from "vitest";
import { runSchedules } from "./schedules.js";

test("350 random schedules of faults: every saga ends right, nothing is lost or done twice", async () => {
  expect(await runSchedules({ runs: 350, seed: 20_261_124 })).toBeGreaterThan(300);
}, 900_000);
