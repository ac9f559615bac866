// Adds up the JSON reports of the tiers in a folder and prints the closing line: `N passed, N failed`.
// A step that failed without a failed test (a crash, a broken build) counts as one failure.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [folder, failedSteps] = process.argv.slice(2);
let passed = 0;
let failed = 0;
let skipped = 0;
for (const name of readdirSync(folder).filter((each) => each.endsWith(".json"))) {
  const report = JSON.parse(readFileSync(join(folder, name), "utf8"));
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  skipped += report.numPendingTests;
  for (const file of report.testResults ?? []) {
    for (const test of file.assertionResults) {
      if (test.status === "failed") process.stdout.write(`failed: ${name.replace(/\.json$/, "")}: ${test.fullName}\n`);
    }
  }
}
if (failed === 0 && Number(failedSteps) > 0) failed = Number(failedSteps);
process.stdout.write(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}\n`);
process.exitCode = failed === 0 ? 0 : 1;
