// The one gate. `npm run check` runs every step and then the tests; `--static` stops before the tests.
// Each step runs even when an earlier one failed, so that one run tells everything.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const bin = (name) => `${root}/node_modules/.bin/${name}`;

const steps = [
  ["format and lint", bin("biome"), ["ci", "--reporter=summary", "."]],
  ["generated code is fresh", process.execPath, ["scripts/gen.mjs", "--check"]],
  ["contracts lint", bin("buf"), ["lint"]],
  ["contract rules of ours", process.execPath, ["scripts/contract-lint.mjs"]],
  ["contracts break no caller", process.execPath, ["scripts/breaking.mjs"]],
  ["types", bin("tsc"), ["-b"]],
  ["house rules", process.execPath, ["scripts/house-rules.mjs"]],
  ["dead code", bin("knip"), ["--no-progress"]],
];
if (!process.argv.includes("--static")) steps.push(["tests", bin("vitest"), ["run"]]);

let failed = 0;
for (const [name, command, args] of steps) {
  if (args[0]?.startsWith("scripts/") && !existsSync(`${root}/${args[0]}`)) {
    process.stdout.write(`FAIL  ${name}: ${args[0]} is missing\n`);
    failed += 1;
    continue;
  }
  const startedMs = performance.now();
  const run = spawnSync(command, args, { cwd: root, encoding: "utf8", maxBuffer: 64 << 20 });
  const took = `${((performance.now() - startedMs) / 1000).toFixed(1)} s`;
  if (run.status === 0) {
    process.stdout.write(`ok    ${name} (${took})\n`);
  } else {
    failed += 1;
    process.stdout.write(
      `FAIL  ${name} (${took})\n${run.stdout ?? ""}${run.stderr ?? ""}${run.error?.message ?? ""}\n`,
    );
  }
}
process.stdout.write(failed === 0 ? "check: all steps hold\n" : `check: ${failed} of ${steps.length} steps failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
