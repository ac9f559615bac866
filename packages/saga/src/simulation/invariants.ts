import { column, type Database } from "@weft/store";
import type { Participants } from "./participants.js";
import { price } from "./participants.js";
import type { Schedule } from "./schedule.js";

/** What must hold once every saga has ended: of each order, and of money and stock in all. */
export async function checkInvariants(
  database: Database,
  run: {
    readonly shop: Participants;
    readonly schedule: Schedule;
    /** What cancellations were told, by saga. */
    readonly cancels: ReadonlyMap<string, string>;
    readonly ids: readonly string[];
  },
): Promise<{ readonly states: readonly string[]; readonly problems: readonly string[] }> {
  const { ids, shop } = run;
  const problems: string[] = [];
  const rows = await database.query(
    `SELECT s.saga_id, s.state, s.parked_reason, o.state AS order_state, o.changes FROM weft_sagas s LEFT JOIN sim_orders o USING (saga_id)
       WHERE s.saga_id = ANY($1) ORDER BY s.saga_id`,
    [ids],
  );
  const expect = (holds: boolean, what: string): void => {
    if (!holds) problems.push(what);
  };
  let sold = 0;
  let paid = 0;
  const states: string[] = [];
  for (const [at, id] of ids.entries()) {
    const row = rows.find((r) => r["saga_id"] === id);
    const order = run.schedule.orders[at];
    if (row === undefined || order === undefined) {
      problems.push(`${id} was never recorded`);
      continue;
    }
    const state = column.text(row, "state");
    states.push(state);
    const key = (step: string): string => `saga/${id}/${step}`;
    const effect = (ledger: Participants["reservations"], step: string): string | undefined =>
      ledger.effects.get(key(step))?.t;
    expect(run.cancels.get(id) !== "accepted" || state === "compensated", `${id} was called off and is ${state}`);
    if (state === "completed") {
      sold += order.quantity;
      paid += price;
      expect(effect(shop.reservations, "reserve") === "done", `${id} completed without its stock`);
      expect(effect(shop.captures, "capture") === "done", `${id} completed without its money`);
      expect(effect(shop.labels, "label") === "done", `${id} completed without its label`);
      expect(
        row["order_state"] === "confirmed" && row["changes"] === 2,
        `${id} completed, its order is ${row["order_state"]} after ${row["changes"]} changes`,
      );
      expect(!order.declines && !order.captureRefused, `${id} completed though it was refused`);
    } else if (state === "compensated") {
      expect(effect(shop.reservations, "reserve") !== "done", `${id} compensated with stock held`);
      expect(effect(shop.authorizations, "authorize") !== "done", `${id} compensated with money held`);
      expect(effect(shop.captures, "capture") !== "done", `${id} compensated and charged`);
      expect(
        row["order_state"] === null || (row["order_state"] === "refused" && row["changes"] === 2),
        `${id} compensated, its order is ${row["order_state"]} after ${row["changes"]} changes`,
      );
    } else problems.push(`${id} is ${state}: ${row["parked_reason"]}`);
  }
  for (const ledger of [shop.reservations, shop.authorizations, shop.captures, shop.labels])
    for (const [key, made] of ledger.made) expect(made === 1, `${key} took effect ${made} times`);
  expect(
    shop.available + sold === run.schedule.stock,
    `stock: ${shop.available} left and ${sold} sold of ${run.schedule.stock}`,
  );
  expect(shop.charged === paid, `charged ${shop.charged}, orders paid ${paid}`);
  const locks = await database.query("SELECT key FROM weft_saga_locks WHERE saga_id = ANY($1)", [ids]);
  expect(locks.length === 0, `${locks.length} locks are left`);
  return { states, problems };
}
