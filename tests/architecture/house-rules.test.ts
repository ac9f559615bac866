import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

const breachesOf = (file: string, text: string): string => {
  const program = `import { findBreaches } from "./scripts/house-rules.mjs"; process.stdout.write(findBreaches([process.argv[1]], () => process.argv[2]).join("\\n"));`;
  return execFileSync(process.execPath, ["--input-type=module", "-e", program, file, text], {
    cwd: root,
    encoding: "utf8",
  });
};

// The forbidden texts are put together here, so that this file itself keeps the rules.
const cases = [
  { rule: "no-console", file: "packages/wire/src/x.ts", text: `${"console"}.log(1)` },
  { rule: "no-environment", file: "packages/wire/src/x.ts", text: `${"process"}.env["A"]` },
  { rule: "no-types-given-up", file: "services/shop/orders/src/x.ts", text: `let a${":"} any` },
  { rule: "no-narrowed-tests", file: "tests/x.test.ts", text: `${"test"}.only("a", f)` },
  { rule: "no-export-star", file: "packages/wire/src/index.ts", text: `export${" "}* from "./x.js"` },
  { rule: "no-grab-bag", file: "packages/wire/src/utils.ts", text: "" },
  { rule: "long-file", file: "packages/wire/src/x.ts", text: "\n".repeat(500) },
];

test.each(cases)("$rule is found", ({ rule, file, text }) => {
  expect(breachesOf(file, text)).toContain(`: ${rule}: `);
});

test("a main.ts may read the environment", () => {
  expect(breachesOf("services/shop/orders/src/main.ts", `${"process"}.env`)).toBe("");
});
