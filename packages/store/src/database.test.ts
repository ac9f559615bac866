import { Code, ConnectError } from "@connectrpc/connect";
import { eventually } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { column, createDatabase, type Database, isCommitOutcomeUnknown } from "./index.js";
import { startTestDatabase, startTestPostgres } from "./testing/index.js";

async function codeOf(work: Promise<unknown>): Promise<Code | "ok"> {
  return work.then(
    () => "ok" as const,
    (error: unknown) => (error instanceof ConnectError ? error.code : Promise.reject(error)),
  );
}

const untilUp = (database: Database): Promise<void> => database.untilUp(AbortSignal.timeout(20_000));

test("a transaction that rejects leaves nothing, and one that resolves is seen by others", async () => {
  await using home = await startTestDatabase();
  await using database = createDatabase({ url: home.url });
  await database.query("CREATE TABLE t (n bigint)");
  const failing = database.transaction(async (tx) => {
    await tx.query("INSERT INTO t VALUES (1)");
    throw new ConnectError("no", Code.FailedPrecondition);
  });
  expect(await codeOf(failing)).toBe(Code.FailedPrecondition);
  await database.transaction((tx) => tx.query("INSERT INTO t VALUES (9007199254740993)"));
  const rows = await database.query("SELECT n FROM t");
  expect(rows.map((row) => column.bigint(row, "n"))).toEqual([9007199254740993n]);
});

test("a failed statement that the work ignores does not pass for a commit", async () => {
  await using home = await startTestDatabase();
  await using database = createDatabase({ url: home.url });
  const sloppy = database.transaction(async (tx) => {
    await tx.query("SELECT 1/0").catch(() => "ignored");
  });
  expect(await codeOf(sloppy)).toBe(Code.Internal);
});

test("a transaction that others got in the way of is run again until it commits", async () => {
  await using home = await startTestDatabase();
  await using database = createDatabase({ url: home.url });
  await database.query("CREATE TABLE counter (n int)");
  await database.query("INSERT INTO counter VALUES (0)");
  const add = (): Promise<void> =>
    database.transaction(
      async (tx) => {
        const [row] = await tx.query("SELECT n FROM counter");
        await tx.query("UPDATE counter SET n = $1", [(row === undefined ? 0 : column.integer(row, "n")) + 1]);
      },
      { isolation: "serializable", attempts: 50 },
    );
  await Promise.all(Array.from({ length: 8 }, add));
  expect(await database.query("SELECT n FROM counter")).toEqual([{ n: 8 }]);
});

test("the caller's deadline ends a statement on the server, and a cancelled call ends at once", async () => {
  await using home = await startTestDatabase();
  await using database = createDatabase({ url: home.url, maxConnections: 1 });
  await untilUp(database);
  expect(await codeOf(database.query("SELECT pg_sleep(20)", [], { timeoutMs: () => 80 }))).toBe(Code.DeadlineExceeded);
  const caller = new AbortController();
  const cancelled = database.query("SELECT pg_sleep(20)", [], { signal: caller.signal });
  setImmediate(() => caller.abort());
  expect(await codeOf(cancelled)).toBe(Code.Canceled);
  expect(await database.query("SELECT 1 AS n")).toEqual([{ n: 1 }]);
});

test("a caller waits for a free connection no longer than the acquire timeout, and that is no sign of a lost database", async () => {
  await using home = await startTestDatabase();
  await using database = createDatabase({ url: home.url, maxConnections: 1, acquireTimeoutMs: 100 });
  await untilUp(database);
  let free = (): void => {};
  const busy = database.transaction(() => new Promise<void>((done) => (free = done)));
  expect(await codeOf(database.query("SELECT 1"))).toBe(Code.Unavailable);
  expect(database.state.value.t).toBe("up");
  free();
  await busy;
});

test("a database that goes away gives UNAVAILABLE and the reason, and is found again when it returns", async () => {
  await using server = await startTestPostgres();
  await using home = await startTestDatabase({ server });
  await using database = createDatabase({ url: home.url });
  await untilUp(database);
  await database.query("CREATE TABLE kept (n int)");
  // Idle connections that break must not end the process.
  await Promise.all([database.query("SELECT pg_sleep(0.05)"), database.query("SELECT pg_sleep(0.05)")]);
  const underWay = codeOf(database.query("SELECT pg_sleep(20)"));
  const inTransaction = codeOf(database.transaction((tx) => tx.query("SELECT pg_sleep(20)")));
  const sleeping = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(20)'";
  await eventually(async () => (await database.query(sleeping))[0]?.["n"] === 2, { ceilingMs: 20_000 });
  await server.stop();
  expect(await underWay).toBe(Code.Unavailable);
  expect(await inTransaction).toBe(Code.Unavailable);
  expect(await codeOf(database.query("SELECT 1"))).toBe(Code.Unavailable);
  await database.state.until(
    (state) => state.t === "down" && /ECONNREFUSED/.test(state.reason),
    AbortSignal.timeout(20_000),
  );
  await server.start();
  await untilUp(database);
  expect(await database.query("SELECT count(*)::int AS n FROM kept")).toEqual([{ n: 0 }]);
});

test("a refused password is a reason to wait, not to crash", async () => {
  await using home = await startTestDatabase();
  await using database = createDatabase({ url: home.url.replace(/:[^:@]+@/, ":wrong@") });
  await database.state.until(
    (state) => state.t === "down" && /password/.test(state.reason),
    AbortSignal.timeout(20_000),
  );
});

test("a password that is changed under a database that is up makes it unreachable, with the reason, not broken", async () => {
  await using home = await startTestDatabase();
  await using database = createDatabase({ url: home.url });
  await untilUp(database);
  const role = decodeURIComponent(new URL(home.url).username);
  await database.query(`ALTER ROLE "${role}" PASSWORD 'another'`);
  // Ends the connections that were signed in before.
  await database
    .query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user")
    .catch(() => {});
  expect(await codeOf(database.query("SELECT 1"))).toBe(Code.Unavailable);
  await database.state.until(
    (state) => state.t === "down" && /password/.test(state.reason),
    AbortSignal.timeout(20_000),
  );
});

test.each(["the server goes away", "the caller gives up"])(
  "a commit whose answer is lost is told apart: %s",
  async (how) => {
    await using server = await startTestPostgres();
    await using home = await startTestDatabase({ server });
    await using database = createDatabase({ url: home.url });
    await database.query("CREATE TABLE t (n int)");
    await database.query(
      "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(20); RETURN NULL; END'",
    );
    await database.query(
      "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    const caller = new AbortController();
    const insert = database.transaction((tx) => tx.query("INSERT INTO t VALUES (1)"), {
      bounds: { signal: caller.signal },
    });
    const failure = insert.then(
      () => undefined,
      (error: unknown) => error,
    );
    const committing = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query = 'COMMIT' AND state = 'active'";
    await eventually(async () => (await database.query(committing))[0]?.["n"] === 1, { ceilingMs: 20_000 });
    if (how === "the caller gives up") caller.abort();
    else await server.stop();
    expect(isCommitOutcomeUnknown(await failure)).toBe(true);
    if (how === "the server goes away") await server.start();
    await untilUp(database);
    // A statement that fails before the commit has a known outcome.
    const known = database.transaction((tx) => tx.query("SELECT 1/0")).catch((error: unknown) => error);
    expect(isCommitOutcomeUnknown(await known)).toBe(false);
  },
);

test("a named statement is parsed once on a connection, and runs in transactions too", async () => {
  await using home = await startTestDatabase();
  await using database = createDatabase({ url: home.url, maxConnections: 1 });
  const double = { name: "double", text: "SELECT $1::int * 2 AS n" };
  for (const n of [1, 2]) expect(await database.query(double, [n])).toEqual([{ n: 2 * n }]);
  expect(await database.transaction((tx) => tx.query(double, [3]))).toEqual([{ n: 6 }]);
  expect(await database.query("SELECT name FROM pg_prepared_statements")).toEqual([{ name: "double" }]);
});
