import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createLogFile } from "./log-file.js";

test("a log that can't be written is no error of whoever writes it", () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-log-"));
  try {
    const logger = createLogFile(join(folder, "state", "laptop.log"));
    logger.info("first");
    rmSync(join(folder, "state"), { recursive: true });
    writeFileSync(join(folder, "state"), "");
    logger.error("lost", { error: new Error("something") });
    rmSync(join(folder, "state"));
    const another = createLogFile(join(folder, "state", "laptop.log"));
    another.warn("seen");
    expect(readFileSync(join(folder, "state", "laptop.log"), "utf8")).toContain('"seen"');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
