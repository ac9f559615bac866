import { mkdtempSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { LogFile, type LogQuery } from "./log-file.js";

const folder = mkdtempSync(join(tmpdir(), "weft-logs-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const all: LogQuery = { follow: false, previous: false, timestamps: false, tailLines: undefined, sinceMs: undefined };

async function read(log: LogFile, query: Partial<LogQuery> = {}): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of log.read({ ...all, ...query }, new AbortController().signal)) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

test("a log gives its tail, what came since a time, the run before, and the time of each line", async () => {
  const log = new LogFile(join(folder, "a", "main.log"));
  expect(log.has({ previous: false })).toBe(false);
  const first = log.startRun();
  writeSync(first.fd, "first run\n");
  first.close();
  const run = log.startRun();
  writeSync(run.fd, "one\ntwo\n");
  log.tick(1_000);
  log.tick(2_000);
  writeSync(run.fd, "three\nfour\n");
  log.tick(3_000);
  expect(await read(log)).toBe("one\ntwo\nthree\nfour\n");
  expect(await read(log, { tailLines: 2 })).toBe("three\nfour\n");
  expect(await read(log, { tailLines: 0 })).toBe("");
  expect(await read(log, { tailLines: 99 })).toBe("one\ntwo\nthree\nfour\n");
  expect(await read(log, { sinceMs: 1_500 })).toBe("three\nfour\n");
  expect(await read(log, { previous: true })).toBe("first run\n");
  expect(await read(log, { timestamps: true, tailLines: 3 })).toBe(
    "1970-01-01T00:00:01.000Z two\n1970-01-01T00:00:03.000Z three\n1970-01-01T00:00:03.000Z four\n",
  );
  run.close();
});

test("a followed log goes on over a restart of the container and ends when the log is removed", async () => {
  const log = new LogFile(join(folder, "b", "main.log"));
  const first = log.startRun();
  writeSync(first.fd, "one\n");
  let seen = "";
  for await (const chunk of log.read({ ...all, follow: true }, new AbortController().signal)) {
    seen += Buffer.from(chunk).toString("utf8");
    if (seen === "one\n") {
      first.close();
      const second = log.startRun();
      writeSync(second.fd, "two\n");
      second.close();
    } else log.remove();
  }
  expect(seen).toBe("one\ntwo\n");
});

test("a log that grows too long is cut, and its writer goes on", async () => {
  const log = new LogFile(join(folder, "c", "main.log"));
  const run = log.startRun();
  const line = `${"x".repeat(1023)}\n`;
  for (let count = 0; count < 16 * 1024 + 1; count++) writeSync(run.fd, line);
  log.tick(1_000);
  expect(statSync(log.path).size).toBe(0);
  writeSync(run.fd, "after\n");
  expect(await read(log)).toBe("after\n");
  run.close();
});
