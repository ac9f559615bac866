import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { writeFileAtomically } from "./atomic-file.js";

test("a disk that fills up in the middle of a write leaves the old text, whole", () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-atomic-"));
  try {
    const file = join(folder, "objects.json");
    writeFileAtomically(file, "old");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const module = fileURLToPath(new URL("./atomic-file.ts", import.meta.url));
    const script = `import(${JSON.stringify(module)}).then((m) => m.writeFileAtomically(${JSON.stringify(file)}, "x".repeat(3_000_000)))`;
    // A limit on the size of files: the write stops there as on a full disk, with less written than asked.
    const ended = spawnSync("sh", ["-c", 'ulimit -f 2048; exec "$0" --import tsx -e "$1"', process.execPath, script], {
      cwd: fileURLToPath(new URL("../../../..", import.meta.url)),
      encoding: "utf8",
    });
    expect(ended.status).not.toBe(0);
    expect(ended.stderr).toContain("EFBIG");
    expect(readFileSync(file, "utf8")).toBe("old");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
