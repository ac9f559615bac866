import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { createDatabase, type Migration, migrate } from "./index.js";
import { startTestDatabase } from "./testing/index.js";

const first: Migration = { name: "0001-things", sql: "CREATE TABLE things (n int); INSERT INTO things VALUES (1);" };
const second: Migration = { name: "0002-more", sql: "INSERT INTO things VALUES (2)" };

test("migrations run once, in order, and only what is new later", async () => {
  await using home = await startTestDatabase();
  await using database = createDatabase({ url: home.url });
  expect(await migrate(database, [first])).toEqual(["0001-things"]);
  expect(await migrate(database, [first, second])).toEqual(["0002-more"]);
  expect(await migrate(database, [first, second])).toEqual([]);
  // An older program beside a newer one leaves things as they are.
  expect(await migrate(database, [first])).toEqual([]);
  expect(await database.query("SELECT n FROM things ORDER BY n")).toEqual([{ n: 1 }, { n: 2 }]);
});

test("a migration that was changed after it ran is refused with its name; layout is no change", async () => {
  await using home = await startTestDatabase();
  await using database = createDatabase({ url: home.url });
  await migrate(database, [first]);
  expect(await migrate(database, [{ ...first, sql: `\n    ${first.sql}\n` }])).toEqual([]);
  await expect(migrate(database, [{ ...first, sql: `${first.sql} SELECT 1` }, second])).rejects.toThrow(
    /"0001-things" was changed/,
  );
  expect(await database.query("SELECT n FROM things")).toEqual([{ n: 1 }]);
});

test("a migration put in before one that ran is refused with both names", async () => {
  await using home = await startTestDatabase();
  await using database = createDatabase({ url: home.url });
  await migrate(database, [first]);
  await expect(migrate(database, [second, first])).rejects.toThrow(/"0002-more" stands before "0001-things"/);
});

test("a migration that fails leaves no trace, and those before it stay", async () => {
  await using home = await startTestDatabase();
  await using database = createDatabase({ url: home.url });
  const broken = { name: "0002-broken", sql: "INSERT INTO things VALUES (7); SELECT 1/0" };
  await expect(migrate(database, [first, broken])).rejects.toThrow();
  expect(await database.query("SELECT n FROM things")).toEqual([{ n: 1 }]);
  expect(await migrate(database, [first, second])).toEqual(["0002-more"]);
});

test("several processes at once run each migration once", async () => {
  await using home = await startTestDatabase();
  await using database = createDatabase({ url: home.url });
  const door = new URL("./index.ts", import.meta.url).href;
  const script = `
    import { createDatabase, migrate } from ${JSON.stringify(door)};
    const database = createDatabase({ url: process.argv[1] });
    const steps = Array.from({ length: 6 }, (_, n) => ({
      name: "step-" + n,
      sql: "CREATE TABLE step_" + n + " (n int); SELECT pg_sleep(0.03)",
    }));
    const ran = await migrate(database, steps);
    await database[Symbol.asyncDispose]();
    process.stdout.write(JSON.stringify(ran));`;
  const run = (): Promise<string[]> =>
    new Promise((done, fail) => {
      const flags = ["--conditions=@weft/source", "--import", "tsx", "--input-type=module", "-e", script, home.url];
      const cwd = fileURLToPath(new URL("../../..", import.meta.url));
      const child = spawn(process.execPath, flags, { cwd, stdio: ["ignore", "pipe", "inherit"] });
      let out = "";
      child.stdout.on("data", (chunk: Buffer) => {
        out += chunk.toString();
      });
      child.once("close", (code) => (code === 0 ? done(JSON.parse(out)) : fail(new Error(`ended with ${code}`))));
    });
  const ran = await Promise.all([run(), run(), run()]);
  expect(ran.flat().sort()).toEqual(["step-0", "step-1", "step-2", "step-3", "step-4", "step-5"]);
  expect(await database.query("SELECT count(*)::int AS n FROM weft_migrations")).toEqual([{ n: 6 }]);
});
