import { loadavg } from "node:os";
import { type Round, warmUpMs } from "./load.js";
import type { Row } from "./mesh.js";
import { end, startFree } from "./processes.js";
import { type BenchDatabase, type BenchServer, startBenchServer, textOf } from "./saga-databases.js";
import { median } from "./statistics.js";

const rounds = 5;
/** Few at a time is what a busy machine blurs most: more rounds, and shorter. */
const singleRounds = 9;
const inFlight = 200;
const interrupted = 1_000;
const finished = 100_000;

/** One of those that are measured: its program, its database, and how that is emptied. */
interface Contender {
  readonly program: string;
  readonly database: BenchDatabase;
  /** Brings the database to where each round begins. */
  readonly reset: string;
  /** Whether rows are there then. */
  readonly filled: boolean;
}

interface Measured {
  readonly round: Round;
  /** Flushes of the server's log for each saga. */
  readonly flushes: number;
}

/**
 * Three-step sagas beside the same commits by hand and beside DBOS: one server, same run, alternating, medians. A ratio is the median of
 * the rounds' own.
 */
export async function benchSaga(): Promise<Row[]> {
  const load = loadavg()[0] ?? 0;
  await using server = await startBenchServer();
  const floor = await makeFloor(server);
  const ours = await makeOurs(server, "sagas", "");
  const dbos = await makeDbos(server);
  const full = await makeOurs(server, "sagas_full", fillFrom);
  await keepFinished(full);

  const single = await alternate(server, { floor, ours, dbos }, 1);
  const many = await alternate(server, { floor, ours, dbos }, inFlight);
  const recovery = { ours: await recoveries(server, ours), dbos: await recoveries(server, dbos) };
  const kept = {
    single: await alternate(server, { empty: ours, full }, 1),
    many: await alternate(server, { empty: ours, full }, inFlight),
  };

  const p50Of = ({ round }: Measured): number => round.p50Ms;
  const rateOf = ({ round }: Measured): number => round.callsPerSecond;
  const p50 = (all: readonly Measured[]): number => median(all.map(p50Of));
  const rate = (all: readonly Measured[]): number => median(all.map(rateOf));
  const latency = { floor: p50(single.floor), ours: p50(single.ours), dbos: p50(single.dbos) };
  const rates = { floor: rate(many.floor), ours: rate(many.ours), dbos: rate(many.dbos) };
  const recovered = { ours: median(recovery.ours), dbos: median(recovery.dbos) };
  const overFloor = ratioOf(single.ours, single.floor, p50Of);
  if (overFloor < 1)
    throw new Error("the floor is slower than what does the same and more: it does not measure a floor");
  const underDbos = ratioOf(single.dbos, single.ours, p50Of);
  const overDbos = ratioOf(many.ours, many.dbos, rateOf);
  const slower = ratioOf(kept.single.full, kept.single.empty, p50Of);
  const fewer = ratioOf(kept.many.empty, kept.many.full, rateOf);
  return [
    {
      work: "saga-p50",
      ours: latency.ours,
      peers: { floor: latency.floor, DBOS: latency.dbos },
      ratio: overFloor,
      unit: "ms",
      detail: `${must("≤ 3 × the floor", overFloor <= 3)}; ${must("≥ 4 × faster than DBOS", underDbos >= 4)}, is ${underDbos.toFixed(1)} ×; 4 commits as by hand, DBOS 5; ${server.durability}; the machine's load before was ${load.toFixed(1)}`,
    },
    {
      work: "saga-throughput",
      ours: rates.ours,
      peers: { floor: rates.floor, DBOS: rates.dbos },
      ratio: overDbos,
      unit: "sagas/s",
      detail: `${must("≥ 5 × DBOS", overDbos >= 5)}; ${inFlight} at a time, 10 connections each; CPU a saga ${cpu(many.ours)} against ${cpu(many.floor)} (floor) and ${cpu(many.dbos)} (DBOS); ${flushesOf(many)}`,
    },
    {
      work: "saga-recovery",
      ours: recovered.ours,
      peers: { bound: 10, DBOS: recovered.dbos },
      ratio: recovered.ours / 10,
      unit: "s",
      detail: `${must("≤ 10 s", recovered.ours <= 10)}; ${interrupted} sagas, a third of them in each step, from kill -9 until another process ended the last; a lease of 3 s runs out first, DBOS has none`,
    },
    {
      work: "saga-100k",
      ours: p50(kept.single.full),
      peers: { "empty table": p50(kept.single.empty) },
      ratio: slower,
      unit: "ms",
      detail: `${must("≈ 1 (≤ 1.15)", slower <= 1.15 && fewer <= 1.15)}; p50 one at a time with ${finished.toLocaleString("en")} finished sagas; throughput ${rate(kept.many.full).toFixed(0)} against ${rate(kept.many.empty).toFixed(0)} sagas/s, ratio ${fewer.toFixed(2)}`,
    },
  ];
}

async function makeFloor(server: BenchServer): Promise<Contender> {
  const database = await server.database("floor");
  await database.client.query(
    "CREATE TABLE floor_sagas (id text PRIMARY KEY, state text NOT NULL, step integer NOT NULL, input bytea NOT NULL, results bytea[] NOT NULL) WITH (fillfactor = 70)",
  );
  return { program: "saga-floor", database, reset: "TRUNCATE floor_sagas", filled: false };
}

async function makeOurs(server: BenchServer, name: string, refill: string): Promise<Contender> {
  const database = await server.database(name);
  const run = await startFree("saga-weft", ["migrate", database.url]);
  await end(run.process);
  return { program: "saga-weft", database, reset: `TRUNCATE weft_sagas; ${refill}`, filled: refill !== "" };
}

async function makeDbos(server: BenchServer): Promise<Contender> {
  const database = await server.database("dbos");
  // The first launch makes its tables.
  const run = await startFree("saga-dbos", ["load", database.url, 1, 10]);
  await end(run.process);
  return {
    program: "saga-dbos",
    database,
    reset: "TRUNCATE dbos.workflow_status, dbos.operation_outputs CASCADE",
    filled: false,
  };
}

const columns =
  "name, version, state, step, pivot_begun, input, journal, principal, fence, revision, due_at, created_at, updated_at, ended_at";
const fillFrom = `INSERT INTO weft_sagas (saga_id, ${columns}) SELECT saga_id, ${columns} FROM kept_sagas`;

/** Copies of a saga that really ran, over the three weeks before. */
async function keepFinished({ program, database }: Contender): Promise<void> {
  const run = await startFree(program, ["load", database.url, 1, 10]);
  await end(run.process);
  const ages = ["due_at", "created_at", "updated_at", "ended_at"];
  const copied = columns.split(", ").map((column) => (ages.includes(column) ? `${column} - age AS ${column}` : column));
  await database.client.query(
    `CREATE TABLE kept_sagas AS SELECT gen_random_uuid()::text AS saga_id, ${copied.join(", ")}
     FROM (SELECT * FROM weft_sagas WHERE state = 'completed' LIMIT 1) AS one,
       (SELECT make_interval(secs => n * 18.0) AS age FROM generate_series(1, ${finished}) AS n) AS ages`,
  );
}

async function alternate<K extends string>(
  server: BenchServer,
  contenders: Readonly<Record<K, Contender>>,
  atOnce: number,
): Promise<Record<K, Measured[]>> {
  const all = fromEntries<K, Measured[]>(Object.keys(contenders).map((name) => [name, []]));
  const [roundsOf, roundMs] = atOnce === 1 ? [singleRounds, 1_500] : [rounds, 4_000];
  for (let round = 0; round < roundsOf; round += 1) {
    for (const [name, contender] of fromRecord(contenders)) {
      await reset(server, contender);
      const before = await server.flushes();
      const run = await startFree(contender.program, ["load", contender.database.url, atOnce, roundMs]);
      await end(run.process);
      const measured = parseRound(run.line);
      // The warm-up's flushes are in it too, and its sagas in the count, at the rate that was measured.
      const flushes = (await server.flushes()) - before;
      const sagas = (measured.callsPerSecond * (roundMs + warmUpMs)) / 1_000;
      all[name].push({ round: measured, flushes: flushes / sagas });
    }
  }
  return all;
}

/** Seconds from the kill until the last interrupted saga has ended, for each round. */
async function recoveries(server: BenchServer, contender: Contender): Promise<number[]> {
  const { program, database } = contender;
  const ended =
    program === "saga-dbos"
      ? "SELECT count(*)::text AS ended FROM dbos.workflow_status WHERE workflow_uuid LIKE 'interrupted-%' AND status = 'SUCCESS'"
      : "SELECT count(*)::text AS ended FROM weft_sagas WHERE saga_id LIKE 'interrupted-%' AND state = 'completed'";
  const count = async (): Promise<number> => Number(textOf(await database.client.query(ended), "ended"));
  const all: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await reset(server, contender);
    const first = await startFree(program, ["interrupt", database.url, interrupted]);
    first.process.kill("SIGKILL");
    const killedMs = performance.now();
    if ((await count()) > 0) throw new Error("a saga ended that was to hang");
    const second = await startFree(program, ["recover", database.url]);
    const untilMs = killedMs + 120_000;
    while ((await count()) < interrupted) {
      if (performance.now() > untilMs)
        throw new Error(`${program} did not recover ${interrupted} sagas in two minutes`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    all.push((performance.now() - killedMs) / 1_000);
    second.process.kill("SIGKILL");
  }
  return all;
}

/**
 * Statistics are made of a table that is filled only. Those of an empty one have a prepared statement planned as a sequential scan, which
 * it then is while the table grows: the floor took twice as long so.
 */
async function reset(server: BenchServer, { database, reset, filled }: Contender): Promise<void> {
  await database.client.query(reset);
  if (filled) await database.client.query("VACUUM ANALYZE weft_sagas");
  await server.settle();
}

/** The median of each round's own ratio: what slows the machine down for a while slows both of its sides. */
function ratioOf(of: readonly Measured[], to: readonly Measured[], figure: (one: Measured) => number): number {
  return median(of.flatMap((one, round) => (to[round] === undefined ? [] : [figure(one) / figure(to[round])])));
}

function must(bound: string, held: boolean): string {
  return `must ${bound}: ${held ? "yes" : "NO"}`;
}

function cpu(all: readonly Measured[]): string {
  return `${median(all.map(({ round }) => round.cpuMicrosPerCall)).toFixed(0)} µs`;
}

function flushesOf(all: Readonly<Record<"floor" | "ours" | "dbos", readonly Measured[]>>): string {
  const of = (name: "floor" | "ours" | "dbos"): string => median(all[name].map(({ flushes }) => flushes)).toFixed(2);
  return `log flushes a saga: ${of("ours")} against ${of("floor")} (floor) and ${of("dbos")} (DBOS)`;
}

function parseRound(line: string): Round {
  return JSON.parse(line) as Round;
}

function fromRecord<K extends string, V>(record: Readonly<Record<K, V>>): [K, V][] {
  return Object.entries(record) as [K, V][];
}

function fromEntries<K extends string, V>(entries: readonly (readonly [string, V])[]): Record<K, V> {
  return Object.fromEntries(entries) as Record<K, V>;
}
