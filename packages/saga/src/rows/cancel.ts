import { column, type Queries } from "@weft/store";
import type { CancelAnswer } from "../engine/sagas.js";

/**
 * Asks a saga to turn back, unless its pivot was begun. The pivot's intent is written only where no such wish stands, so of the two exactly
 * one comes first.
 */
export async function cancelSaga(
  queries: Queries,
  id: string,
  reason: string,
  time: Date | null,
): Promise<CancelAnswer> {
  const [row] = await queries.query(
    `WITH asked AS (
       UPDATE weft_sagas s SET cancel_reason = coalesce(s.cancel_reason, $2),
         due_at = CASE WHEN s.owner IS NULL THEN coalesce($3::timestamptz, now()) ELSE s.due_at END
       WHERE s.saga_id = $1 AND s.state = 'running' AND NOT s.pivot_begun RETURNING s.owner
     ), told AS (SELECT pg_notify('weft_sagas', 'work') FROM asked WHERE owner IS NULL)
     SELECT s.state, EXISTS (SELECT 1 FROM asked) AS accepted, (SELECT count(*)::int FROM told) AS told
     FROM weft_sagas s WHERE s.saga_id = $1`,
    [id, reason, time],
  );
  if (row === undefined) return "not-found";
  if (column.boolean(row, "accepted")) return "accepted";
  const state = column.text(row, "state");
  // It turns back already.
  if (state === "compensating") return "accepted";
  return state === "completed" || state === "compensated" ? "ended" : "too-late";
}
