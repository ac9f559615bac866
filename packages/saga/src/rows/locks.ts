import { column, type Queries } from "@weft/store";

/**
 * Semantic locks. The holder of a key is the saga that has stood there longest, so waiting is fair; both taking and giving back go through
 * an advisory lock on the key, so that nobody looks while another is about to change what is seen.
 */
export async function takeTurns(queries: Queries, keys: readonly string[]): Promise<void> {
  // Sorted: two sagas that hold several keys never wait for each other here.
  for (const key of [...keys].sort()) {
    await queries.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 7305188))", [key]);
  }
}

/** Stands in line for the key; true when it is this saga's. After {@link takeTurns}. */
export async function standInLine(queries: Queries, key: string, sagaId: string): Promise<boolean> {
  await queries.query("INSERT INTO weft_saga_locks (key, saga_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", [
    key,
    sagaId,
  ]);
  const [first] = await queries.query("SELECT saga_id FROM weft_saga_locks WHERE key = $1 ORDER BY position LIMIT 1", [
    key,
  ]);
  return first !== undefined && column.text(first, "saga_id") === sagaId;
}

/** Leaves the line for one key, or for all; gives how many sagas are next and now due. After {@link takeTurns}. */
export async function leaveLine(
  queries: Queries,
  sagaId: string,
  keys: readonly string[],
  time: Date | null,
): Promise<number> {
  await queries.query("DELETE FROM weft_saga_locks WHERE saga_id = $1 AND key = ANY($2::text[])", [sagaId, keys]);
  const rows = await queries.query(
    `UPDATE weft_sagas s SET due_at = coalesce($2::timestamptz, now())
     WHERE s.owner IS NULL AND s.state IN ('running', 'compensating') AND s.saga_id IN (
       SELECT DISTINCT ON (key) saga_id FROM weft_saga_locks WHERE key = ANY($1::text[]) ORDER BY key, position
     ) RETURNING 1 AS woken`,
    [keys, time],
  );
  return rows.length;
}
