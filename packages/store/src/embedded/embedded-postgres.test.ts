import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { expect, test } from "vitest";
import { type EmbeddedPostgres, removeEmbeddedPostgres, startEmbeddedPostgres } from "./index.js";
import { isAlive } from "./postmaster.js";

/** A folder for one server, removed with its data at the end. */
function scratchFolder(): { readonly directory: string } & AsyncDisposable {
  const directory = mkdtempSync(join(tmpdir(), "weft-pg-"));
  return { directory, [Symbol.asyncDispose]: () => removeEmbeddedPostgres(directory) };
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

const start = (directory: string, more: { host?: string; port?: number } = {}): Promise<EmbeddedPostgres> =>
  startEmbeddedPostgres({ directory, durability: "none", ...more });

test("a server keeps its data and its password over a stop, listens where it is told, and keeps strangers out", async () => {
  await using folder = scratchFolder();
  const first = await start(folder.directory, { host: "127.0.0.77" });
  expect(first.url).toContain("@127.0.0.77:");
  await query(first.url, "CREATE TABLE kept (n int)");
  await first.stop();
  await first.stop();
  await first.exited;
  expect(isAlive(first.pid)).toBe(false);

  await using second = await start(folder.directory, { host: "127.0.0.77", port: first.port });
  expect(second.url).toBe(first.url);
  expect(await query(second.url, "SELECT count(*)::int AS n FROM kept")).toEqual([{ n: 0 }]);
  await expect(query(second.url.replace(/:[^:@]+@/, ":wrong@"), "SELECT 1")).rejects.toMatchObject({ code: "28P01" });
  expect(statSync(join(folder.directory, "superuser-password")).mode & 0o777).toBe(0o600);
  const home = readFileSync(join(folder.directory, "data-directory"), "utf8").trim();
  expect(statSync(home).mode & 0o777).toBe(0o700);
});

test("data whose password was lost is opened again, even while a server that was left running holds it", async () => {
  await using folder = scratchFolder();
  const left = await start(folder.directory);
  await query(left.url, "CREATE TABLE kept (n int)");
  rmSync(join(folder.directory, "superuser-password"));
  await using again = await start(folder.directory, { host: "127.0.0.79" });
  await left.exited;
  expect(await query(again.url, "SELECT count(*)::int AS n FROM kept")).toEqual([{ n: 0 }]);
});

test("removing a server that was never started does nothing", async () => {
  await removeEmbeddedPostgres(join(tmpdir(), "weft-pg-never"));
});

test("a server whose parent was killed is adopted at the same address, and replaced at another", async () => {
  await using folder = scratchFolder();
  const script = join(folder.directory, "parent.mts");
  const door = fileURLToPath(new URL("./index.ts", import.meta.url));
  writeFileSync(
    script,
    `import { startEmbeddedPostgres } from ${JSON.stringify(door)};
     const server = await startEmbeddedPostgres({ directory: ${JSON.stringify(folder.directory)}, durability: "none" });
     process.stdout.write(String(server.pid) + "\\n");
     setInterval(() => {}, 1000);`,
  );
  const parent = spawn(process.execPath, ["--conditions=@weft/source", "--import", "tsx", script], {
    stdio: ["ignore", "pipe", "inherit"],
    cwd: fileURLToPath(new URL("../../../..", import.meta.url)),
  });
  const pid = await new Promise<number>((done, fail) => {
    parent.stdout.once("data", (chunk: Buffer) => done(Number(chunk.toString())));
    parent.once("exit", () => fail(new Error("the parent ended")));
  });
  parent.kill("SIGKILL");
  await new Promise((done) => parent.once("exit", done));
  expect(isAlive(pid)).toBe(true);

  const adopted = await start(folder.directory);
  expect(adopted).toMatchObject({ pid, adopted: true });
  await query(adopted.url, "CREATE TABLE kept (n int)");

  await using moved = await start(folder.directory, { host: "127.0.0.78" });
  expect(moved.adopted).toBe(false);
  await adopted.exited;
  expect(isAlive(pid)).toBe(false);
  expect(await query(moved.url, "SELECT count(*)::int AS n FROM kept")).toEqual([{ n: 0 }]);
});

test("a server that was killed itself recovers at the next start", async () => {
  await using folder = scratchFolder();
  const first = await start(folder.directory);
  await query(first.url, "CREATE TABLE kept (n int)");
  process.kill(first.pid, "SIGKILL");
  await first.exited;
  await using second = await start(folder.directory, { port: first.port });
  expect(await query(second.url, "SELECT count(*)::int AS n FROM kept")).toEqual([{ n: 0 }]);
});

test("a lost password file is made anew without losing the data", async () => {
  await using folder = scratchFolder();
  const first = await start(folder.directory);
  await query(first.url, "CREATE TABLE kept (n int)");
  await first.stop();
  writeFileSync(join(folder.directory, "superuser-password"), "");
  await using second = await start(folder.directory);
  expect(second.url).not.toBe(first.url);
  expect(await query(second.url, "SELECT count(*)::int AS n FROM kept")).toEqual([{ n: 0 }]);
});

test("a port that is taken is named in the error, and no process stays behind", async () => {
  await using one = scratchFolder();
  await using two = scratchFolder();
  await using server = await start(one.directory);
  await expect(start(two.directory, { port: server.port })).rejects.toThrow(
    new RegExp(`127.0.0.1:${server.port} ended while starting.*in use`),
  );
});
