import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { bootId, identify } from "../kubelet/process-identity.js";
import { lockHolder, takeLock } from "./supervisor-lock.js";

const folder = mkdtempSync(join(tmpdir(), "weft-lock-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("one holder at a time, and the lock is free when it is given back", () => {
  const path = join(folder, "one", "lock");
  {
    using lock = takeLock(path);
    expect(lock?.stale).toBe(false);
    expect(takeLock(path)).toBeUndefined();
    expect(lockHolder(path)).toEqual(identify(process.pid));
  }
  expect(lockHolder(path)).toBeUndefined();
  using again = takeLock(path);
  expect(again).toBeDefined();
});

test("the lock of a dead process, or of a pid that is another's now, is taken over, and nothing is left beside it", () => {
  expect(bootId()).toMatch(/^[0-9a-f-]{36}$/);
  const path = join(folder, "lock");
  writeFileSync(path, JSON.stringify({ pid: process.pid, startTime: "1" }));
  expect(lockHolder(path)).toBeUndefined();
  using lock = takeLock(path);
  expect(lock?.stale).toBe(true);
  expect(readdirSync(folder).filter((name) => name.startsWith("lock"))).toEqual(["lock"]);
});
