import { expect, test } from "vitest";
import { runSchedules } from "./schedules.js";

// Ten parts, so that a failure names a small one and shrinks fast.
test.each([...Array(10).keys()])(
  "10,000 random schedules of faults, part %i",
  async (part) => {
    const [runs, seed] = [1_000, 7_000 + part];
    const fired = await runSchedules({ runs, seed });
    process.stdout.write(`seed ${seed}: ${runs} schedules, ${fired} faults fired, every saga ended right\n`);
    expect(fired).toBeGreaterThan(500);
  },
  3_600_000,
);
