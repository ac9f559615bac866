import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "@weft/foundation/testing";
import { afterEach, expect, test } from "vitest";
import { identify, isAlive } from "./process-identity.js";
import { endLeftovers, enterUnlisted, ProcessLedger } from "./process-ledger.js";

const children: ChildProcess[] = [];
const folder = mkdtempSync(join(tmpdir(), "weft-ledger-"));
const path = join(folder, "processes.json");

afterEach(() => {
  for (const child of children.splice(0)) if (child.pid !== undefined && child.exitCode === null) child.kill("SIGKILL");
  rmSync(path, { force: true });
});

/** A process in a group of its own that says when it listens to signals. */
async function start(body: string) {
  const child = spawn(process.execPath, ["-e", `${body}; setInterval(() => {}, 1000); console.log("up")`], {
    detached: true,
    stdio: ["ignore", "pipe", "ignore"],
  });
  children.push(child);
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const identity = identify(child.pid ?? 0);
  if (identity === undefined) throw new Error("the child is gone");
  return { ...identity, name: "shop/thing" };
}

test("what an earlier supervisor left is ended: politely where it listens, by force where it does not", async () => {
  const polite = await start(`process.on("SIGTERM", () => process.exit(0))`);
  const stubborn = await start(`process.on("SIGTERM", () => {})`);
  const first = ProcessLedger.open(path);
  first.add(polite);
  first.add(stubborn);

  const second = ProcessLedger.open(path);
  expect(second.entries.map(({ pid }) => pid)).toEqual([polite.pid, stubborn.pid]);
  const ended = await endLeftovers(second, 300);
  expect(ended).toHaveLength(2);
  await eventually(() => !isAlive(polite) && !isAlive(stubborn), { ceilingMs: 5_000 });
  expect(ProcessLedger.open(path).entries).toEqual([]);
});

test("a pid that was handed to another process, or belongs to another boot, is left alone", async () => {
  const stranger = await start("");
  const ledger = ProcessLedger.open(path);
  ledger.add({ ...stranger, startTime: "1" });
  expect(await endLeftovers(ProcessLedger.open(path), 100)).toEqual([]);
  expect(isAlive(stranger)).toBe(true);

  ledger.add(stranger);
  writeFileSync(path, readFileSync(path, "utf8").replace(/"boot": "[^"]+"/, '"boot": "another"'));
  expect(await endLeftovers(ProcessLedger.open(path), 100)).toEqual([]);
  expect(isAlive(stranger)).toBe(true);
});

test("a process whose leader is gone is ended by its group", async () => {
  const leader = await start(
    `const { spawn } = require("node:child_process"); const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]); process.title = String(child.pid); require("node:fs").writeFileSync(${JSON.stringify(join(folder, "child"))}, String(child.pid))`,
  );
  const child = identify(Number(readFileSync(join(folder, "child"), "utf8")));
  if (child === undefined) throw new Error("the child is gone");
  ProcessLedger.open(path).add(leader);
  process.kill(leader.pid, "SIGKILL");
  await eventually(() => !isAlive(leader), { ceilingMs: 5_000 });
  expect(isAlive(child)).toBe(true);
  await endLeftovers(ProcessLedger.open(path), 2_000);
  await eventually(() => !isAlive(child), { ceilingMs: 5_000 });
});

test("a process that its supervisor had no time to enter is found by its environment, and no other", async () => {
  const marker = `WEFT_LEDGER_TEST=${folder}`;
  process.env["WEFT_LEDGER_TEST"] = folder;
  const unlisted = await start("");
  process.env["WEFT_LEDGER_TEST"] = `${folder}-another`;
  const stranger = await start("");
  delete process.env["WEFT_LEDGER_TEST"];
  const ledger = ProcessLedger.open(path);
  enterUnlisted(ledger, marker);
  enterUnlisted(ledger, marker);
  expect(ledger.entries).toEqual([{ pid: unlisted.pid, startTime: unlisted.startTime, name: "unlisted" }]);
  expect(await endLeftovers(ledger, 2_000)).toHaveLength(1);
  await eventually(() => !isAlive(unlisted), { ceilingMs: 5_000 });
  expect(isAlive(stranger)).toBe(true);
});
