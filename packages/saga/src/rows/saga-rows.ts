import { column, type Database, type NamedStatement, type Queries, type Row } from "@weft/store";
import type { SagaPhase, SagaState } from "../state/saga-state.js";
import { optionalText, parseSagaRow, type SagaRow, sagaColumns } from "./saga-row.js";

/** A saga that is recorded for the first time. */
export interface NewSaga {
  readonly sagaId: string;
  readonly name: string;
  readonly version: number;
  readonly step: string;
  readonly pivotBegun: boolean;
  readonly input: Uint8Array;
  readonly journal: Uint8Array;
  readonly principal: string | undefined;
  readonly traceParent: string | undefined;
  readonly traceState: string | undefined;
  /** The worker that begins it at once; without one it is for whoever looks for work. */
  readonly owner: string | undefined;
}

/** One write to a saga that is carried out: the whole of what may change, under the lease of the writer. */
export interface SagaWrite {
  readonly sagaId: string;
  readonly fence: bigint;
  /** The revision that this write makes: one above the last. */
  readonly revision: bigint;
  readonly state: SagaState;
  readonly parkedFrom: SagaPhase | undefined;
  readonly parkedReason: string | undefined;
  readonly step: string;
  /** True from the pivot's intent on. The write that first says so is refused when the saga was cancelled before. */
  readonly pivotBegun: boolean;
  readonly journal: Uint8Array;
  /** Whether the writer goes on with it. */
  readonly keep: boolean;
  /** When it goes on if the writer does not. Unix milliseconds. */
  readonly dueMs: number;
}

/** `written`, with a cancellation that came meanwhile; `refused` when the lease is another's, or the saga was cancelled before its pivot. */
export type WriteAnswer =
  | { readonly t: "written"; readonly cancelReason: string | undefined; readonly watched: boolean }
  | { readonly t: "refused" };

/** A saga that a worker has taken, with the time that its lease counts from. */
export interface Claimed {
  readonly row: SagaRow;
  /** The database's time. Unix milliseconds. */
  readonly nowMs: number;
}

/** The SQL of sagas. Each statement that changes a saga under way names the worker and the fencing token of its lease. */
export interface SagaRows {
  /** Gives those that were recorded; an id that is taken is not. With each the database's time. */
  insert(sagas: readonly NewSaga[], queries?: Queries): Promise<ReadonlyMap<string, number>>;
  write(worker: string, writes: readonly SagaWrite[], queries?: Queries): Promise<readonly WriteAnswer[]>;
  /** The row, locked until the transaction ends, if this worker still holds the lease with this token. */
  lockOwned(queries: Queries, worker: string, saga: { sagaId: string; fence: bigint }): Promise<SagaRow | undefined>;
  find(sagaId: string, queries?: Queries): Promise<SagaRow | undefined>;
  /** Renews the worker's lease; gives how many workers' leases have run out. */
  beat(worker: string, leaseMs: number): Promise<number>;
  /** Takes sagas that are due and nobody's. */
  claimDue(worker: string, known: readonly Known[], limit: number): Promise<readonly Claimed[]>;
  /** Takes sagas of workers whose lease has run out, or that are gone. */
  claimLost(worker: string, known: readonly Known[], limit: number): Promise<readonly Claimed[]>;
  /** Takes this saga if it is nobody's. */
  claimOne(worker: string, sagaId: string): Promise<Claimed | undefined>;
  /** The ids of what this worker holds. */
  owned(worker: string): Promise<readonly string[]>;
  /** Takes what this worker holds already anew, so that whatever it knew of it before counts no more. */
  claimOwn(worker: string, sagaIds: readonly string[]): Promise<readonly Claimed[]>;
  /** Gives up the worker's lease and all its sagas; gives how many. */
  release(worker: string): Promise<number>;
  /** Asks for a notification at its end; gives the row as it is. */
  watch(sagaId: string): Promise<SagaRow | undefined>;
  notify(payloads: readonly string[], queries?: Queries): Promise<void>;
  /** Counts what has not ended. */
  counts(): Promise<readonly SagaCount[]>;
  /** Removes sagas that ended before, in small batches; gives how many. */
  prune(olderThanMs: number): Promise<number>;
  /** Removes the leases of workers that are gone and own nothing. */
  forgetWorkers(): Promise<void>;
}

export interface Known {
  readonly name: string;
  readonly version: number;
}

export interface SagaCount extends Known {
  readonly state: SagaState;
  readonly count: number;
}

/** The channel of wake-ups: `work` when something is due, a saga's id when it has ended. */
export const sagaChannel = "weft_sagas";

const live = "s.state IN ('running', 'compensating')";
// A lease that is taken and lost with a crash of the server harms nothing: the writes under it are refused. So no flush is waited for.
const unflushed = "set_config('synchronous_commit', 'off', true)";

/** `nowMs` gives the time to go by instead of the database's own. */
export function createSagaRows(database: Database, nowMs?: () => number): SagaRows {
  const time = (): Date | null => (nowMs === undefined ? null : new Date(nowMs()));
  const now = "coalesce($1::timestamptz, now())";
  const epochMs = `(extract(epoch FROM ${now}) * 1000)::float8 AS now_ms`;

  const insertSql: NamedStatement = {
    name: "weft-saga-insert",
    text: `INSERT INTO weft_sagas AS s (saga_id, name, version, state, step, pivot_begun, input, journal, principal, trace_parent, trace_state,
           owner, fence, revision, due_at, created_at, updated_at)
         SELECT u.saga_id, u.name, u.version, 'running', u.step, u.pivot_begun, u.input, u.journal, u.principal, u.trace_parent, u.trace_state,
           u.owner, 1, 1, ${now}, ${now}, ${now}
         FROM unnest($2::text[], $3::text[], $4::int[], $5::text[], $6::bool[], $7::bytea[], $8::bytea[], $9::text[], $10::text[], $11::text[], $12::text[])
           AS u(saga_id, name, version, step, pivot_begun, input, journal, principal, trace_parent, trace_state, owner)
         ON CONFLICT (saga_id) DO NOTHING
         RETURNING s.saga_id, ${epochMs}`,
  };

  const claim = async (picked: string, values: readonly unknown[], worker: string): Promise<readonly Claimed[]> => {
    const rows = await database.query(
      `WITH picked AS MATERIALIZED (${picked}), quick AS (SELECT ${unflushed})
       UPDATE weft_sagas s SET owner = $2, fence = s.fence + 1, takeovers = s.takeovers + CASE WHEN s.owner IS NULL THEN 0 ELSE 1 END
       FROM picked, quick WHERE s.saga_id = picked.saga_id
       RETURNING ${sagaColumns}, ${epochMs}`,
      [time(), worker, ...values],
    );
    return rows.map((row) => ({ row: parseSagaRow(row), nowMs: numberOf(row, "now_ms") }));
  };

  return {
    async insert(sagas, queries = database) {
      const rows = await queries.query(insertSql, [
        time(),
        sagas.map((s) => s.sagaId),
        sagas.map((s) => s.name),
        sagas.map((s) => s.version),
        sagas.map((s) => s.step),
        sagas.map((s) => s.pivotBegun),
        sagas.map((s) => buffer(s.input)),
        sagas.map((s) => buffer(s.journal)),
        sagas.map((s) => s.principal ?? null),
        sagas.map((s) => s.traceParent ?? null),
        sagas.map((s) => s.traceState ?? null),
        sagas.map((s) => s.owner ?? null),
      ]);
      return new Map(rows.map((row) => [column.text(row, "saga_id"), numberOf(row, "now_ms")]));
    },

    async write(worker, writes, queries = database) {
      const [only] = writes;
      const rows =
        only !== undefined && writes.length === 1
          ? await writeOne(queries, time(), worker, only)
          : await writeMany(queries, time(), worker, writes);
      const written = new Map(rows.map((row) => [column.text(row, "saga_id"), row]));
      return writes.map(({ sagaId }): WriteAnswer => {
        const row = written.get(sagaId);
        if (row === undefined) return { t: "refused" };
        return {
          t: "written",
          cancelReason: optionalText(row, "cancel_reason"),
          watched: column.boolean(row, "watched"),
        };
      });
    },

    async lockOwned(queries, worker, { sagaId, fence }) {
      const [row] = await queries.query(
        `SELECT ${sagaColumns} FROM weft_sagas s WHERE s.saga_id = $1 AND s.owner = $2 AND s.fence = $3 FOR UPDATE`,
        [sagaId, worker, fence],
      );
      return row === undefined ? undefined : parseSagaRow(row);
    },

    async find(sagaId, queries = database) {
      const [row] = await queries.query(findSql, [sagaId]);
      return row === undefined ? undefined : parseSagaRow(row);
    },

    async beat(worker, leaseMs) {
      const [row] = await database.query(
        `WITH quick AS (SELECT ${unflushed}), beat AS (
           INSERT INTO weft_saga_workers SELECT $2, ${now} + make_interval(secs => $3) FROM quick
           ON CONFLICT (worker_id) DO UPDATE SET expires_at = excluded.expires_at RETURNING 1
         )
         SELECT count(*)::int AS lost FROM weft_saga_workers, (SELECT count(*) FROM beat) AS beaten
         WHERE worker_id <> $2 AND expires_at <= ${now}`,
        [time(), worker, leaseMs / 1_000],
      );
      return row === undefined ? 0 : column.integer(row, "lost");
    },

    claimDue: (worker, known, limit) =>
      claim(
        `SELECT s.saga_id FROM weft_sagas s
         WHERE ${live} AND s.owner IS NULL AND s.due_at <= ${now}
           AND (s.name, s.version) IN (SELECT * FROM unnest($3::text[], $4::int[]))
         ORDER BY s.due_at LIMIT $5 FOR UPDATE SKIP LOCKED`,
        [known.map((k) => k.name), known.map((k) => k.version), limit],
        worker,
      ),

    claimLost: (worker, known, limit) =>
      claim(
        `SELECT s.saga_id FROM weft_sagas s
         WHERE ${live} AND s.owner IS NOT NULL AND s.owner <> $2
           AND NOT EXISTS (SELECT 1 FROM weft_saga_workers w WHERE w.worker_id = s.owner AND w.expires_at > ${now})
           AND (s.name, s.version) IN (SELECT * FROM unnest($3::text[], $4::int[]))
         LIMIT $5 FOR UPDATE OF s SKIP LOCKED`,
        [known.map((k) => k.name), known.map((k) => k.version), limit],
        worker,
      ),

    async claimOne(worker, sagaId) {
      const [claimed] = await claim(
        `SELECT s.saga_id FROM weft_sagas s WHERE s.saga_id = $3 AND ${live} AND s.owner IS NULL AND s.due_at <= ${now} FOR UPDATE SKIP LOCKED`,
        [sagaId],
        worker,
      );
      return claimed;
    },

    async owned(worker) {
      const rows = await database.query("SELECT s.saga_id FROM weft_sagas s WHERE s.owner = $1", [worker]);
      return rows.map((row) => column.text(row, "saga_id"));
    },

    claimOwn: (worker, sagaIds) =>
      claim(
        `SELECT s.saga_id FROM weft_sagas s WHERE ${now} IS NOT NULL AND s.owner = $2 AND s.saga_id = ANY($3::text[]) FOR UPDATE SKIP LOCKED`,
        [sagaIds],
        worker,
      ),

    async release(worker) {
      const [row] = await database.query(
        `WITH given AS (
           UPDATE weft_sagas s SET owner = NULL, due_at = ${now} WHERE s.owner = $2 RETURNING 1
         ), gone AS (DELETE FROM weft_saga_workers WHERE worker_id = $2)
         SELECT count(*)::int AS given FROM given`,
        [time(), worker],
      );
      return row === undefined ? 0 : column.integer(row, "given");
    },

    async watch(sagaId) {
      const [row] = await database.query(
        `WITH quick AS (SELECT ${unflushed})
         UPDATE weft_sagas s SET watched = true FROM quick WHERE s.saga_id = $1 RETURNING ${sagaColumns}`,
        [sagaId],
      );
      return row === undefined ? undefined : parseSagaRow(row);
    },

    async notify(payloads, queries = database) {
      await queries.query(`SELECT pg_notify('${sagaChannel}', payload) FROM unnest($1::text[]) AS payload`, [payloads]);
    },

    async counts() {
      const rows = await database.query(
        `SELECT name, version, state, count(*)::int AS count FROM weft_sagas WHERE ended_at IS NULL GROUP BY name, version, state`,
      );
      return rows.map(parseCount);
    },

    async prune(olderThanMs) {
      const [row] = await database.query(
        `WITH gone AS (
           SELECT saga_id FROM weft_sagas WHERE ended_at <= ${now} - make_interval(secs => $2) ORDER BY ended_at LIMIT 1000 FOR UPDATE SKIP LOCKED
         ), removed AS (DELETE FROM weft_sagas s USING gone WHERE s.saga_id = gone.saga_id RETURNING 1)
         SELECT count(*)::int AS removed FROM removed`,
        [time(), olderThanMs / 1_000],
      );
      return row === undefined ? 0 : column.integer(row, "removed");
    },

    async forgetWorkers() {
      await database.query(
        `DELETE FROM weft_saga_workers w WHERE w.expires_at <= ${now} - interval '1 minute'
           AND NOT EXISTS (SELECT 1 FROM weft_sagas s WHERE s.owner = w.worker_id)`,
        [time()],
      );
    },
  };
}

// `$1` is the time and `$2` the worker; the rest are the fields of a write, as values or as columns of an unnest.
const assignments = (u: (name: string) => string, now: string): string => `
  state = ${u("state")}, parked_from = ${u("parked_from")}, parked_reason = ${u("parked_reason")}, step = ${u("step")},
  pivot_begun = ${u("pivot_begun")}, journal = ${u("journal")}, revision = ${u("revision")}, takeovers = 0, updated_at = ${now},
  owner = CASE WHEN ${u("keep")} THEN s.owner END,
  due_at = CASE WHEN ${u("keep")} THEN s.due_at
                WHEN s.cancel_reason IS NOT NULL AND NOT ${u("pivot_begun")} AND ${u("state")} = 'running' THEN ${now}
                ELSE to_timestamp(${u("due_ms")} / 1000) END,
  ended_at = CASE WHEN ${u("state")} IN ('completed', 'compensated') THEN ${now} END`;

const conditions = (u: (name: string) => string): string => `
  s.saga_id = ${u("saga_id")} AND s.owner = $2 AND s.fence = ${u("fence")} AND s.revision = ${u("revision")} - 1
  AND (NOT ${u("pivot_begun")} OR s.pivot_begun OR s.cancel_reason IS NULL)`;

const fields = [
  ["saga_id", "text"],
  ["fence", "bigint"],
  ["revision", "bigint"],
  ["state", "text"],
  ["parked_from", "text"],
  ["parked_reason", "text"],
  ["step", "text"],
  ["pivot_begun", "boolean"],
  ["journal", "bytea"],
  ["keep", "boolean"],
  ["due_ms", "float8"],
] as const;

function valuesOf(write: SagaWrite): readonly unknown[] {
  return [
    write.sagaId,
    write.fence,
    write.revision,
    write.state,
    write.parkedFrom ?? null,
    write.parkedReason ?? null,
    write.step,
    write.pivotBegun,
    buffer(write.journal),
    write.keep,
    write.dueMs,
  ];
}

const findSql: NamedStatement = {
  name: "weft-saga-find",
  text: `SELECT ${sagaColumns} FROM weft_sagas s WHERE s.saga_id = $1`,
};

const nowSql = "coalesce($1::timestamptz, now())";
const returned = "RETURNING s.saga_id, s.cancel_reason, s.watched";

const one = (name: string): string => {
  const at = fields.findIndex(([field]) => field === name);
  return `$${at + 3}::${fields[at]?.[1]}`;
};
const writeOneText = `UPDATE weft_sagas s SET ${assignments(one, nowSql)} WHERE ${conditions(one)} ${returned}`;

const many = (name: string): string => `u.${name}`;
const writeManyText = `UPDATE weft_sagas s SET ${assignments(many, nowSql)}
  FROM unnest(${fields.map(([, type], index) => `$${index + 3}::${type}[]`).join(", ")}) AS u(${fields.map(([name]) => name).join(", ")})
  WHERE ${conditions(many)} ${returned}`;

const writeOneSql: NamedStatement = { name: "weft-saga-write", text: writeOneText };
const writeManySql: NamedStatement = { name: "weft-saga-writes", text: writeManyText };

function writeOne(queries: Queries, time: Date | null, worker: string, write: SagaWrite): Promise<readonly Row[]> {
  return queries.query(writeOneSql, [time, worker, ...valuesOf(write)]);
}

function writeMany(
  queries: Queries,
  time: Date | null,
  worker: string,
  writes: readonly SagaWrite[],
): Promise<readonly Row[]> {
  const rows = writes.map(valuesOf);
  return queries.query(writeManySql, [time, worker, ...fields.map((_, index) => rows.map((row) => row[index]))]);
}

function parseCount(row: Row): SagaCount {
  const state = column.text(row, "state");
  return {
    name: column.text(row, "name"),
    version: column.integer(row, "version"),
    state: state === "parked" || state === "compensating" ? state : "running",
    count: column.integer(row, "count"),
  };
}

function numberOf(row: Row, name: string): number {
  const value = row[name];
  if (typeof value !== "number") throw new TypeError(`column ${JSON.stringify(name)} is no number`);
  return value;
}

/** The driver sends Buffers as bytes, and other typed arrays as text. */
function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
