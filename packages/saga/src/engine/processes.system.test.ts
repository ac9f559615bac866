import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Scope, sleep } from "@weft/foundation";
import { eventually } from "@weft/foundation/testing";
import { column, createDatabase, createNotifications, type Database, migrate } from "@weft/store";
import { startTestDatabase } from "@weft/store/testing";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createSagaAdmin } from "../admin/saga-admin.js";
import { sagaMigration } from "../rows/migration.js";
import { sagaChannel } from "../rows/saga-rows.js";
import { gatedSaga, gatedSchema } from "../testing/fixtures/gated-saga.js";
import { createSagas } from "./create-sagas.js";
import type { Sagas } from "./sagas.js";

const ceiling = { ceilingMs: 60_000 };
let folder: string;
let bundle: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "weft-saga-"));
  bundle = join(folder, "main.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("../testing/fixtures/main.ts", import.meta.url))],
    outfile: bundle,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["@weft/source"],
    external: ["pg-native"],
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
    },
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Shop extends AsyncDisposable {
  readonly url: string;
  readonly database: Database;
  readonly sagas: Sagas;
  readonly definition: ReturnType<typeof gatedSaga>;
  /** With a lease that is shorter than the default, unless said otherwise. */
  startWorker(name: string, leaseMs?: number | "default"): Promise<Worker>;
  openGate(): Promise<void>;
  /** Which workers called the step. */
  callers(step: string): Promise<readonly string[]>;
}

interface Worker {
  readonly child: ChildProcess;
  readonly output: () => string;
}

/** A database, and a client of its sagas that carries none out itself. */
async function startShop(): Promise<Shop> {
  const scope = new Scope();
  const home = scope.use(await startTestDatabase());
  const { url } = home;
  const database = scope.use(createDatabase({ url }));
  const notifications = scope.use(createNotifications({ url, channel: sagaChannel }));
  await migrate(database, [sagaMigration, { name: "gated", sql: gatedSchema }]);
  const definition = gatedSaga(database, "client");
  return {
    url,
    database,
    definition,
    sagas: createSagas({ database, notifications, definitions: [definition] }),
    async startWorker(name, leaseMs = 1_500) {
      const lease = leaseMs === "default" ? [] : [String(leaseMs)];
      const child = spawn(process.execPath, [bundle, url, name, ...lease], { stdio: ["ignore", "pipe", "inherit"] });
      let output = "";
      child.stdout.on("data", (chunk: Buffer) => {
        output += chunk.toString();
      });
      scope.defer(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        child.kill("SIGKILL");
        await once(child, "exit");
      });
      await eventually(() => output.includes("working"), ceiling);
      return { child, output: () => output };
    },
    async openGate() {
      await database.query("UPDATE gate SET open = true");
    },
    async callers(step) {
      const rows = await database.query("SELECT worker FROM calls WHERE step = $1 ORDER BY worker", [step]);
      return rows.map((row) => column.text(row, "worker"));
    },
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}

test("the sagas of a worker that is killed go on in another at once", async () => {
  await using shop = await startShop();
  const first = await shop.startWorker("first");
  await shop.sagas.start(shop.definition, { id: "killed", input: {} });
  await eventually(async () => (await shop.callers("second")).length === 1, ceiling);
  await shop.startWorker("second");
  first.child.kill("SIGKILL");
  await eventually(async () => (await shop.callers("second")).length === 2, ceiling);
  await shop.openGate();
  expect(await shop.sagas.outcome(shop.definition, "killed")).toMatchObject({
    t: "completed",
    results: { second: { value: "second" } },
  });
  expect(await shop.callers("first")).toEqual(["first"]);
  expect(await shop.callers("third")).toEqual(["second"]);
});

test("a worker that is told to end gives its sagas away without waiting for the lease", async () => {
  await using shop = await startShop();
  const first = await shop.startWorker("first");
  await shop.openGate();
  await shop.sagas.start(shop.definition, { id: "told", input: {} });
  await shop.sagas.outcome(shop.definition, "told");
  first.child.kill("SIGTERM");
  const [code] = await once(first.child, "exit");
  expect(code).toBe(0);
  expect(await shop.database.query("SELECT worker_id FROM weft_saga_workers")).toEqual([]);
});

test("a worker that was paused until its lease was taken can write nothing when it goes on", async () => {
  await using shop = await startShop();
  const paused = await shop.startWorker("paused");
  await shop.sagas.start(shop.definition, { id: "paused", input: {} });
  await eventually(async () => (await shop.callers("second")).length === 1, ceiling);
  paused.child.kill("SIGSTOP");
  await shop.startWorker("other");
  // The other calls the step again, under the same key; both wait at the gate.
  await eventually(async () => (await shop.callers("second")).includes("other"), ceiling);
  await shop.openGate();
  expect(await shop.sagas.outcome(shop.definition, "paused")).toMatchObject({
    t: "completed",
    results: { second: { value: "other" } },
  });
  const ended = await shop.database.query("SELECT * FROM weft_sagas");
  paused.child.kill("SIGCONT");
  await eventually(() => paused.output().includes("lease was lost"), ceiling);
  expect(await shop.database.query("SELECT * FROM weft_sagas")).toEqual(ended);
  expect(await shop.callers("third")).toEqual(["other"]);
  expect(await shop.database.query("SELECT key FROM effects ORDER BY key")).toHaveLength(3);
});

test("a worker that is paused for 30 s, and whose lease was taken, can write nothing when it goes on: under the default lease, with its call under way", async () => {
  await using shop = await startShop();
  const paused = await shop.startWorker("paused", "default");
  await shop.sagas.start(shop.definition, { id: "long", input: {} });
  await eventually(async () => (await shop.callers("second")).length === 1, ceiling);
  paused.child.kill("SIGSTOP");
  const stoppedMs = performance.now();
  const lease = async () => (await shop.database.query("SELECT owner, fence::int FROM weft_sagas"))[0];
  const first = await lease();
  await shop.startWorker("other", "default");
  await eventually(async () => (await shop.callers("second")).includes("other"), ceiling);
  const taken = await lease();
  expect(taken).toEqual({
    owner: expect.not.stringMatching(String(first?.["owner"])),
    fence: Number(first?.["fence"]) + 1,
  });
  await sleep(30_000 - (performance.now() - stoppedMs), { signal: AbortSignal.timeout(60_000) });
  // Both hear at the same time that their call succeeded, and both would write it.
  paused.child.kill("SIGCONT");
  await shop.openGate();
  expect(await shop.sagas.outcome(shop.definition, "long")).toMatchObject({
    t: "completed",
    results: { second: { value: "other" } },
  });
  await eventually(() => paused.output().includes("lease was lost"), ceiling);
  expect(await lease()).toEqual({ owner: null, fence: taken?.["fence"] });
  expect(await shop.callers("third")).toEqual(["other"]);
  expect(await shop.database.query("SELECT key FROM effects ORDER BY key")).toHaveLength(3);
}, 180_000);

test("a saga whose workers die again and again is parked with an alarm, and goes on when an operator says so", async () => {
  await using shop = await startShop();
  await shop.sagas.start(shop.definition, { id: "deadly", input: {} });
  for (let died = 1; died <= 6; died++) {
    const worker = await shop.startWorker(`worker-${died}`);
    await eventually(async () => (await shop.callers("second")).length === died, ceiling);
    worker.child.kill("SIGKILL");
  }
  const judge = await shop.startWorker("judge");
  expect(await shop.sagas.outcome(shop.definition, "deadly")).toEqual({
    t: "parked",
    reason: "6 workers died while they carried it out",
  });
  await eventually(() => judge.output().includes("a saga is parked"), ceiling);
  expect(await shop.callers("second")).toHaveLength(6);
  await eventually(() => judge.output().includes("sagas need attention"), ceiling);
  await shop.openGate();
  const admin = createSagaAdmin({ database: shop.database, definitions: [shop.definition] });
  await shop.database.transaction((tx) =>
    admin.retry(tx, { sagaId: "deadly", operator: "ann", reason: "the bug is mended" }),
  );
  await eventually(async () => (await shop.sagas.outcome(shop.definition, "deadly")).t === "completed", ceiling);
  expect(await shop.callers("third")).toEqual(["judge"]);
  expect(await shop.database.query("SELECT key FROM effects ORDER BY key")).toHaveLength(3);
}, 180_000);

test("a worker that was paused in the middle of a saga which nobody took goes on with it", async () => {
  await using shop = await startShop();
  const worker = await shop.startWorker("alone");
  await shop.sagas.start(shop.definition, { id: "alone", input: {} });
  await eventually(async () => (await shop.callers("second")).length === 1, ceiling);
  worker.child.kill("SIGSTOP");
  await eventually(async () => {
    const rows = await shop.database.query("SELECT 1 FROM weft_saga_workers WHERE expires_at > now()");
    return rows.length === 0;
  }, ceiling);
  await shop.openGate();
  worker.child.kill("SIGCONT");
  expect((await shop.sagas.outcome(shop.definition, "alone")).t).toBe("completed");
  expect(await shop.callers("second")).toEqual(["alone"]);
});
