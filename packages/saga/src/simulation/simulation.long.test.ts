import { expect, test } from "vitest";
import { runSchedules } from "./schedules.js";

// Ten parts, so that a failure names a small one and shrinks fast.
test.each([...Array(10).keys()])(
  "10,000 random schedules of faults, part %i",
  async (part) => {
    expect(await runSchedules({ runs: 1_000, seed: 7_000 + part })).toBeGreaterThan(500);
  },
  3_600_000,
);
