import { randomUUID } from "node:crypto";
import { type CallBounds, column, type Database, type Queries, type Row, type Transaction } from "@weft/store";
import {
  type Change,
  isOpen,
  type Movement,
  type Payment,
  type PaymentName,
  type PaymentState,
  type Refund,
  type Wish,
} from "./domain.js";
import type { DeclineReason, KeptCard } from "./provider/provider.js";

/** Sums of the ledger in one currency, in minor units. */
export interface LedgerTotals {
  readonly currency: string;
  readonly authorized: bigint;
  readonly captured: bigint;
  readonly released: bigint;
  readonly refunded: bigint;
}

/** A payment whose next word is the provider's. */
export interface OpenPayment {
  readonly payment: Payment;
  readonly openMs: number;
}

/** A refund whose outcome is not known, and whose it is. */
export interface OpenRefund {
  readonly refund: Refund;
  readonly principal: string;
}

/** Open deeds of one kind: a payment's state, or `refunding`. */
export interface OpenCount {
  readonly deed: string;
  readonly count: number;
  readonly oldestMs: number;
}

/** Cards, payments, refunds and the ledger in Postgres. What belongs to somebody is seen by its own principal only. */
export interface PaymentStore {
  keepCard(tx: Transaction, principal: string, card: KeptCard): Promise<void>;
  ownsCard(tx: Transaction, principal: string, token: string): Promise<boolean>;
  /**
   * Takes a key for a payment, or finds whose it is: waits for whoever is doing the same. `new` gives the id that the payment must be made with.
   */
  takeKey(
    tx: Transaction,
    principal: string,
    authorizeKey: string,
  ): Promise<{ readonly t: "new" | "known"; readonly paymentId: string } | { readonly t: "forbidden" }>;
  /** Forbids a key that nobody has used; gives the payment of one that was used. */
  forbidKey(tx: Transaction, principal: string, authorizeKey: string): Promise<string | undefined>;
  make(tx: Transaction, principal: string, paymentId: string, wish: Wish): Promise<Payment>;
  /** `forbidden` when it is named by a key that may never authorize one. */
  find(principal: string, name: PaymentName, bounds: CallBounds): Promise<Payment | "forbidden" | undefined>;
  /** A caller's payment, locked until this transaction ends. */
  lock(tx: Transaction, principal: string, name: PaymentName): Promise<Payment | undefined>;
  /** Any payment by its id, locked until this transaction ends. */
  lockAny(tx: Transaction, paymentId: string): Promise<Payment | undefined>;
  /** Writes what became of a locked payment, with its lines of the ledger. */
  save(tx: Transaction, change: Change): Promise<Payment>;
  findRefund(
    queries: Queries,
    principal: string,
    by: { readonly refundId: string } | { readonly refundKey: string },
  ): Promise<Refund | undefined>;
  makeRefund(
    tx: Transaction,
    principal: string,
    refund: { readonly refundKey: string; readonly paymentId: string; readonly amount: bigint },
  ): Promise<Refund>;
  finishRefund(tx: Transaction, refundId: string): Promise<void>;
  /**
   * Takes open deeds that are due to be asked about, those that wait longest first. Each is due again later, the later the more often it was taken:
   * until then no other replica takes it, and it needs nobody to give it back.
   */
  takeOpen(
    limit: number,
    bounds: CallBounds,
  ): Promise<{
    readonly payments: readonly OpenPayment[];
    readonly refunds: readonly OpenRefund[];
  }>;
  /** How many deeds are open, and how long the oldest is. */
  countOpen(bounds: CallBounds): Promise<readonly OpenCount[]>;
  /** Forgets keys that were forbidden that long ago and never used, in small batches; gives how many. */
  pruneForbidden(olderThanMs: number, bounds: CallBounds): Promise<number>;
  totals(bounds: CallBounds): Promise<readonly LedgerTotals[]>;
}

const columns = `payment_id, token, amount, currency, reference, state, held, captured, refunding, refunded, decline_reason, challenge_prompt,
  capture_key, capture_amount, create_time, update_time`;
const refundColumns = "refund_id, payment_id, refund_key, refunds.amount, currency, refunds.state, refunds.create_time";

/** When a deed that was taken is due again: after half a minute at first, after ten minutes at most, and not all at once. */
const nextTurn = `settle_attempts = settle_attempts + 1,
  settle_time = now() + least(interval '30 seconds' * 2 ^ least(settle_attempts, 10), interval '10 minutes') * (0.8 + 0.4 * random())`;

/** A store on a database that has the payments' migrations. */
export function createPaymentStore(database: Database): PaymentStore {
  return {
    async keepCard(tx, principal, { token, brand }) {
      await tx.query("INSERT INTO cards (token, principal, brand) VALUES ($1, $2, $3)", [token, principal, brand]);
    },

    async ownsCard(tx, principal, token) {
      const rows = await tx.query("SELECT 1 FROM cards WHERE token = $1 AND principal = $2", [token, principal]);
      return rows.length > 0;
    },

    async takeKey(tx, principal, authorizeKey) {
      const made = await tx.query(
        `INSERT INTO payment_keys (principal, authorize_key, payment_id) VALUES ($1, $2, $3)
         ON CONFLICT (principal, authorize_key) DO NOTHING RETURNING payment_id`,
        [principal, authorizeKey, randomUUID()],
      );
      if (made[0] !== undefined) return { t: "new", paymentId: column.text(made[0], "payment_id") };
      const paymentId = await paymentOfKey(tx, principal, authorizeKey);
      return paymentId === undefined ? { t: "forbidden" } : { t: "known", paymentId };
    },

    async forbidKey(tx, principal, authorizeKey) {
      await tx.query(
        `INSERT INTO payment_keys (principal, authorize_key) VALUES ($1, $2)
         ON CONFLICT (principal, authorize_key) DO NOTHING`,
        [principal, authorizeKey],
      );
      return paymentOfKey(tx, principal, authorizeKey);
    },

    async make(tx, principal, paymentId, { token, amount, currency, reference }) {
      const rows = await tx.query(
        `INSERT INTO payments (payment_id, principal, token, amount, currency, reference)
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING ${columns}`,
        [paymentId, principal, token, amount.toString(), currency, reference],
      );
      return fromPaymentRow(only(rows));
    },

    async find(principal, name, bounds) {
      const [row] = await database.query(selectPayment(name), [principal, textOf(name)], bounds);
      if (row !== undefined) return fromPaymentRow(row);
      if (name.t === "id") return undefined;
      const forbidden = await database.query(
        "SELECT 1 FROM payment_keys WHERE principal = $1 AND authorize_key = $2 AND payment_id IS NULL",
        [principal, name.authorizeKey],
        bounds,
      );
      return forbidden.length > 0 ? "forbidden" : undefined;
    },

    async lock(tx, principal, name) {
      const [row] = await tx.query(`${selectPayment(name)} FOR UPDATE`, [principal, textOf(name)]);
      return row === undefined ? undefined : fromPaymentRow(row);
    },

    async lockAny(tx, paymentId) {
      const [row] = await tx.query(`SELECT ${columns} FROM payments WHERE payment_id = $1 FOR UPDATE`, [paymentId]);
      return row === undefined ? undefined : fromPaymentRow(row);
    },

    async save(tx, { payment, movements }) {
      const rows = await tx.query(
        `UPDATE payments SET state = $2, held = $3, captured = $4, refunding = $5, refunded = $6, decline_reason = $7,
           capture_key = $8, capture_amount = $9, challenge_prompt = $10, update_time = now(),
           open_time = CASE WHEN $11 THEN coalesce(open_time, now()) END,
           settle_time = CASE WHEN $11 AND state = $2 THEN settle_time WHEN $11 THEN now() + interval '30 seconds' END,
           settle_attempts = CASE WHEN $11 THEN settle_attempts ELSE 0 END
         WHERE payment_id = $1 RETURNING ${columns}`,
        [
          payment.paymentId,
          payment.state,
          payment.held.toString(),
          payment.captured.toString(),
          payment.refunding.toString(),
          payment.refunded.toString(),
          payment.declineReason ?? null,
          payment.capture?.key ?? null,
          payment.capture?.amount.toString() ?? null,
          payment.challengePrompt,
          isOpen(payment),
        ],
      );
      for (const movement of movements) await addMovement(tx, payment, movement);
      return fromPaymentRow(only(rows));
    },

    async findRefund(queries, principal, by) {
      const [which, text] =
        "refundId" in by ? ["refund_id = $2::uuid", by.refundId] : ["refund_key = $2", by.refundKey];
      const [row] = await queries.query(
        `SELECT ${refundColumns} FROM refunds JOIN payments USING (payment_id) WHERE refunds.principal = $1 AND ${which}`,
        [principal, text],
      );
      return row === undefined ? undefined : fromRefundRow(row);
    },

    async makeRefund(tx, principal, { refundKey, paymentId, amount }) {
      await tx.query(
        "INSERT INTO refunds (refund_id, principal, refund_key, payment_id, amount) VALUES ($1, $2, $3, $4, $5)",
        [randomUUID(), principal, refundKey, paymentId, amount.toString()],
      );
      const made = await this.findRefund(tx, principal, { refundKey });
      if (made === undefined) throw new Error("payments: a refund that was made is not there");
      return made;
    },

    async finishRefund(tx, refundId) {
      await tx.query("UPDATE refunds SET state = 'done', settle_time = NULL WHERE refund_id = $1", [refundId]);
    },

    async takeOpen(limit, bounds) {
      const payments = await database.query(
        `UPDATE payments SET ${nextTurn} WHERE payment_id IN (
           SELECT payment_id FROM payments WHERE settle_time <= now() ORDER BY settle_time LIMIT $1 FOR UPDATE SKIP LOCKED
         ) RETURNING ${columns}, (extract(epoch FROM now() - open_time) * 1000)::bigint AS open_ms`,
        [limit],
        bounds,
      );
      const refunds = await database.query(
        `WITH due AS (
           UPDATE refunds SET ${nextTurn} WHERE refund_id IN (
             SELECT refund_id FROM refunds WHERE settle_time <= now() ORDER BY settle_time LIMIT $1 FOR UPDATE SKIP LOCKED
           ) RETURNING refund_id
         )
         SELECT ${refundColumns}, refunds.principal FROM due JOIN refunds USING (refund_id) JOIN payments USING (payment_id)`,
        [limit],
        bounds,
      );
      return {
        payments: payments.map((row) => ({
          payment: fromPaymentRow(row),
          openMs: Number(column.bigint(row, "open_ms")),
        })),
        refunds: refunds.map((row) => ({ refund: fromRefundRow(row), principal: column.text(row, "principal") })),
      };
    },

    async countOpen(bounds) {
      const rows = await database.query(
        `SELECT deed, count(*)::int AS count, (extract(epoch FROM now() - min(since)) * 1000)::bigint AS oldest_ms FROM (
           SELECT state AS deed, open_time AS since FROM payments WHERE settle_time IS NOT NULL
           UNION ALL SELECT 'refunding', create_time FROM refunds WHERE settle_time IS NOT NULL
         ) AS open GROUP BY deed`,
        [],
        bounds,
      );
      return rows.map((row) => ({
        deed: column.text(row, "deed"),
        count: column.integer(row, "count"),
        oldestMs: Number(column.bigint(row, "oldest_ms")),
      }));
    },

    async pruneForbidden(olderThanMs, bounds) {
      const rows = await database.query(
        `DELETE FROM payment_keys WHERE (principal, authorize_key) IN (
           SELECT principal, authorize_key FROM payment_keys
           WHERE payment_id IS NULL AND create_time < now() - make_interval(secs => $1) LIMIT 1000 FOR UPDATE SKIP LOCKED
         ) RETURNING 1 AS gone`,
        [olderThanMs / 1_000],
        bounds,
      );
      return rows.length;
    },

    async totals(bounds) {
      const rows = await database.query(
        `SELECT currency, ${(["authorize", "capture", "release", "refund"] as const)
          .map((kind) => `coalesce(sum(amount) FILTER (WHERE kind = '${kind}'), 0)::bigint AS "${kind}"`)
          .join(", ")} FROM movements GROUP BY currency ORDER BY currency`,
        [],
        bounds,
      );
      return rows.map((row) => ({
        currency: column.text(row, "currency"),
        authorized: column.bigint(row, "authorize"),
        captured: column.bigint(row, "capture"),
        released: column.bigint(row, "release"),
        refunded: column.bigint(row, "refund"),
      }));
    },
  };
}

async function paymentOfKey(tx: Transaction, principal: string, authorizeKey: string): Promise<string | undefined> {
  const [row] = await tx.query("SELECT payment_id FROM payment_keys WHERE principal = $1 AND authorize_key = $2", [
    principal,
    authorizeKey,
  ]);
  return row === undefined || row["payment_id"] === null ? undefined : column.text(row, "payment_id");
}

async function addMovement(tx: Transaction, payment: Payment, movement: Movement): Promise<void> {
  await tx.query(
    `INSERT INTO movements (payment_id, kind, from_account, to_account, amount, currency) VALUES ($1, $2, $3, $4, $5, $6)`,
    [payment.paymentId, movement.kind, movement.from, movement.to, movement.amount.toString(), payment.currency],
  );
}

/** The owner is $1, the name's text $2. */
function selectPayment(name: PaymentName): string {
  const id =
    name.t === "id" ? "$2::uuid" : "(SELECT payment_id FROM payment_keys WHERE principal = $1 AND authorize_key = $2)";
  return `SELECT ${columns} FROM payments WHERE principal = $1 AND payment_id = ${id}`;
}

function textOf(name: PaymentName): string {
  return name.t === "id" ? name.paymentId : name.authorizeKey;
}

function only(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Error("payments: a statement that returns one row returned none");
  return row;
}

function fromPaymentRow(row: Row): Payment {
  return {
    paymentId: column.text(row, "payment_id"),
    token: column.text(row, "token"),
    amount: column.bigint(row, "amount"),
    currency: column.text(row, "currency"),
    reference: column.text(row, "reference"),
    state: fromState(column.text(row, "state")),
    held: column.bigint(row, "held"),
    captured: column.bigint(row, "captured"),
    refunding: column.bigint(row, "refunding"),
    refunded: column.bigint(row, "refunded"),
    declineReason: row["decline_reason"] === null ? undefined : fromReason(column.text(row, "decline_reason")),
    challengePrompt: column.text(row, "challenge_prompt"),
    capture:
      row["capture_key"] === null
        ? undefined
        : { key: column.text(row, "capture_key"), amount: column.bigint(row, "capture_amount") },
    createTime: column.timestamp(row, "create_time"),
    updateTime: column.timestamp(row, "update_time"),
  };
}

function fromRefundRow(row: Row): Refund {
  return {
    refundId: column.text(row, "refund_id"),
    paymentId: column.text(row, "payment_id"),
    refundKey: column.text(row, "refund_key"),
    amount: column.bigint(row, "amount"),
    currency: column.text(row, "currency"),
    state: column.text(row, "state") === "done" ? "done" : "pending",
    createTime: column.timestamp(row, "create_time"),
  };
}

/** The table's own CHECK admits no other. */
function fromState(text: string): PaymentState {
  return text as PaymentState;
}

/** Only the provider's own reasons are written. */
function fromReason(text: string): DeclineReason {
  return text as DeclineReason;
}
