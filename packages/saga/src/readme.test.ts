import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));

test("the README's example prints what its saga gave", () => {
  const [, code = ""] =
    /```ts\n([\s\S]*?)```/.exec(readFileSync(new URL("../README.md", import.meta.url), "utf8")) ?? [];
  mkdirSync(join(root, ".tsbuild"), { recursive: true });
  const folder = mkdtempSync(join(root, ".tsbuild/saga-example-"));
  try {
    const file = join(folder, "example.mts");
    writeFileSync(file, code);
    const { stdout, stderr } = spawnSync(process.execPath, ["--conditions=@weft/source", "--import", "tsx", file], {
      cwd: root,
      encoding: "utf8",
    });
    expect({ stdout, stderr }).toEqual({ stdout: "paid for tea\n", stderr: "" });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
