import { eventually } from "@weft/foundation/testing";
import { column, type Database, type Row } from "@weft/store";
import type { Shop } from "./shop.js";
import type { Trial } from "./trial.js";

/** How an order ended, and what of it does not hold. */
export interface Verdict {
  readonly outcome: string;
  readonly problems: readonly string[];
}

/** Holds one order that has ended against what every service has in its tables. */
export async function judge(shop: Shop, trial: Trial): Promise<Verdict> {
  const { user, lane } = trial;
  const { cart, inventory, payments, shipping } = shop.participants;
  const problems: string[] = [];
  const expect = (holds: boolean, what: string): void => {
    if (!holds) problems.push(`${trial.cell.name}: ${what}`);
  };

  const orders = await lane.database.query(
    `SELECT o.state, s.state AS saga, s.parked_reason, o.shipping + (SELECT coalesce(sum((l->>'unitPrice')::bigint * (l->>'quantity')::bigint), 0)
       FROM jsonb_array_elements(o.lines) AS l) AS total
     FROM orders o LEFT JOIN weft_sagas s ON s.saga_id = o.order_id::text WHERE o.principal = $1`,
    [user],
  );
  const [order] = orders;
  if (order === undefined) return { outcome: "no order", problems: [`${trial.cell.name}: no order was recorded`] };
  expect(orders.length === 1, `${orders.length} orders were recorded`);
  const state = column.text(order, "state");
  const saga = column.text(order, "saga");
  const confirmed = state === "confirmed";
  if (saga === "parked") {
    problems.push(`${trial.cell.name}: parked: ${String(order["parked_reason"])}`);
    await eventually(async () => (await alarms(lane.process.adminPort)) > 0, { ceilingMs: 60_000, what: "the alarm" });
  } else {
    const as = saga === "completed" ? ["confirmed"] : ["refused", "cancelled"];
    expect(["completed", "compensated"].includes(saga), `its saga is ${saga}`);
    expect(as.includes(state), `its saga is ${saga}, the order ${state}`);
  }
  const due = confirmed ? column.bigint(order, "total") : 0n;

  const ledger = await one(
    payments.database,
    `SELECT coalesce(sum(m.amount) FILTER (WHERE kind = 'capture'), 0)::bigint AS captured,
            coalesce(sum(m.amount) FILTER (WHERE kind = 'refund'), 0)::bigint AS refunded,
            coalesce(sum(m.amount) FILTER (WHERE kind = 'authorize'), 0)::bigint AS authorized,
            coalesce(sum(m.amount) FILTER (WHERE kind = 'release'), 0)::bigint AS released,
            count(*) FILTER (WHERE kind = 'capture')::int AS captures
     FROM movements m JOIN payments p USING (payment_id) WHERE p.principal = $1`,
    [user],
  );
  const sum = (name: string): bigint => column.bigint(ledger, name);
  const charged = sum("captured") - sum("refunded");
  expect(charged === due, `the ledger says that ${charged} was charged, the order says ${due}`);
  expect(column.integer(ledger, "captures") <= 1, `charged ${column.integer(ledger, "captures")} times`);
  const held = sum("authorized") - sum("released") - sum("captured");
  expect(held === 0n, `${held} is still held`);

  // The bank's own books: what the shop's ledger may not know of.
  const bank = await one(
    payments.database,
    `SELECT coalesce(sum(c.captured), 0)::bigint AS captured, count(*) FILTER (WHERE c.state = 'captured')::int AS charges,
            count(*) FILTER (WHERE c.state IN ('authorized', 'deciding'))::int AS holds,
            coalesce(sum((SELECT sum(r.amount) FROM simulator_refunds r WHERE r.charge_key = c.charge_key)), 0)::bigint AS refunded
     FROM simulator_charges c JOIN payments p ON p.payment_id::text = c.charge_key WHERE p.principal = $1`,
    [user],
  );
  const taken = column.bigint(bank, "captured") - column.bigint(bank, "refunded");
  expect(taken === due, `the bank took ${taken}, the order says ${due}`);
  expect(column.integer(bank, "charges") === (confirmed ? 1 : 0), `the bank has ${bank["charges"]} charges`);
  expect(column.integer(bank, "holds") === 0, `the bank still holds ${bank["holds"]} amounts`);

  const labels = await states(shipping.database, "SELECT state FROM labels WHERE principal = $1", user);
  expect(labels.filter((one) => one === "created").length === (confirmed ? 1 : 0), `its labels are ${labels}`);
  const stock = await states(inventory.database, "SELECT state FROM reservations WHERE principal = $1", user);
  const kept = stock.filter((one) => one !== "released");
  expect(kept.join() === (confirmed ? "committed" : ""), `its reservations are ${stock}`);
  const [basket] = await cart.database.query("SELECT jsonb_array_length(items) AS n FROM carts WHERE principal = $1", [
    user,
  ]);
  expect(basket?.["n"] === (confirmed ? 0 : 1), `${basket?.["n"]} things are in the cart`);
  return { outcome: saga === "parked" ? "parked" : state, problems };
}

/** All that was ever in stock: on the shelf, held, or sold; and how much is held. */
export async function stockOf(shop: Shop): Promise<{ readonly all: bigint; readonly held: bigint }> {
  const row = await one(
    shop.participants.inventory.database,
    `SELECT sum(available + held)::bigint + (SELECT coalesce(sum((l->>'quantity')::int), 0) FROM reservations r, jsonb_array_elements(r.lines) AS l
       WHERE r.state = 'committed')::bigint AS "all", sum(held)::bigint AS held FROM stock`,
    [],
  );
  return { all: column.bigint(row, "all"), held: column.bigint(row, "held") };
}

/** The gauge of sagas that need a person, as the process shows it. */
async function alarms(adminPort: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  return [...text.matchAll(/^weft_saga_alarm\{[^}]*\} (\d+)/gm)].reduce((total, [, count]) => total + Number(count), 0);
}

async function one(database: Database, sql: string, values: readonly unknown[]): Promise<Row> {
  const [row] = await database.query(sql, values);
  if (row === undefined) throw new Error("a sum gave no row");
  return row;
}

async function states(database: Database, sql: string, user: string): Promise<readonly string[]> {
  return (await database.query(sql, [user])).map((row) => column.text(row, "state")).toSorted();
}
