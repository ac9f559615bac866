import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** Runs the first TypeScript example of a README as a program; gives what it printed. */
function runExample(readme: string): string {
  const code = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(root, readme), "utf8"))?.[1] ?? "";
  // Inside the repository, so that packages are found as everywhere else.
  mkdirSync(join(root, ".tsbuild"), { recursive: true });
  const folder = mkdtempSync(join(root, ".tsbuild/example-"));
  try {
    writeFileSync(join(folder, "example.mts"), code);
    const flags = ["--conditions=@weft/source", "--import", "tsx", join(folder, "example.mts")];
    const ended = spawnSync(process.execPath, flags, { cwd: root, encoding: "utf8" });
    expect(ended.stderr).toBe("");
    return ended.stdout;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("the example of the store's README prints what it stored", () => {
  expect(runExample("packages/store/README.md")).toBe("hello\n");
});

test("the example of the contracts' README prints a price", () => {
  expect(runExample("packages/contracts/README.md")).toBe("1290n EUR\n");
});
