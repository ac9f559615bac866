import { type CallBounds, column, type Database, type Row, type Transaction } from "@weft/store";
import type { Ended, Line, Reservation, ReservationName, ReservationState, Stock } from "./domain.js";

/** A reservation with what only the service itself needs to know. */
export interface StoredReservation extends Reservation {
  readonly principal: string;
  /** The idempotency key that it was made under. */
  readonly reserveKey: string;
}

/** Stock and reservations in Postgres. */
export interface InventoryStore {
  /** The stock of the products that exist, in the order of the ids. */
  stockOf(productIds: readonly string[], bounds: CallBounds): Promise<readonly Stock[]>;
  /** The same, and nobody else changes it before this transaction ends. */
  lockStock(tx: Transaction, productIds: readonly string[]): Promise<ReadonlyMap<string, Stock>>;
  /** Takes a key for a reservation that is about to be made, locked until this transaction ends; false when it is forbidden. */
  takeKey(tx: Transaction, principal: string, reserveKey: string): Promise<boolean>;
  /** Forbids a key for ever, and gives the reservation that it made last, if any, locked. */
  forbidKey(tx: Transaction, principal: string, reserveKey: string): Promise<StoredReservation | undefined>;
  /** A caller's reservation; `forbidden` when its key may never make one. */
  find(principal: string, name: ReservationName, bounds: CallBounds): Promise<Reservation | "forbidden" | undefined>;
  /** Makes a reservation of locked stock under a taken key. */
  hold(
    tx: Transaction,
    reservation: { readonly principal: string; readonly reserveKey: string; readonly lines: readonly Line[] },
  ): Promise<Reservation>;
  /** A caller's reservation, locked until this transaction ends; nothing when it is not theirs. */
  lockReservation(tx: Transaction, principal: string, name: ReservationName): Promise<StoredReservation | undefined>;
  /** Reservations that have been held for longer than this, locked; not those that somebody is about to end. */
  lockLapsed(tx: Transaction, heldForMs: number, limit: number): Promise<readonly StoredReservation[]>;
  /** Forgets keys that were forbidden that long ago and never used, in small batches; gives how many. */
  pruneForbidden(olderThanMs: number, bounds: CallBounds): Promise<number>;
  /** Ends a locked reservation: its stock is held no more, and leaves for good or can be had again. */
  end(tx: Transaction, reservation: Reservation, state: Ended): Promise<Reservation>;
}

/** A store on a database that has the inventory's migrations. */
export function createInventoryStore(database: Database): InventoryStore {
  return {
    async stockOf(productIds, bounds) {
      const rows = await database.query(
        `SELECT product_id, available, held FROM unnest($1::text[]) WITH ORDINALITY AS asked (product_id, place)
         JOIN stock USING (product_id) ORDER BY asked.place`,
        [productIds],
        bounds,
      );
      return rows.map(fromStockRow);
    },

    async lockStock(tx, productIds) {
      // Always in the order of the ids: two reservations of the same products cannot wait for each other.
      const rows = await tx.query(
        "SELECT product_id, available, held FROM stock WHERE product_id = ANY($1) ORDER BY product_id FOR UPDATE",
        [productIds],
      );
      return new Map(rows.map((row) => [column.text(row, "product_id"), fromStockRow(row)]));
    },

    async hold(tx, { principal, reserveKey, lines }) {
      const rows = await tx.query(
        `WITH moved AS (
           UPDATE stock SET available = available - line.quantity, held = held + line.quantity
           FROM unnest($3::text[], $4::int[]) AS line (product_id, quantity) WHERE stock.product_id = line.product_id
         )
         INSERT INTO reservations (principal, reserve_key, lines) VALUES ($1, $2, $5)
         RETURNING reservation_id, state, lines, create_time`,
        [principal, reserveKey, ...arraysOf(lines), JSON.stringify(lines)],
      );
      const reservation = fromReservationRow(only(rows));
      await tx.query("UPDATE reserve_keys SET reservation_id = $3 WHERE principal = $1 AND reserve_key = $2", [
        principal,
        reserveKey,
        reservation.reservationId,
      ]);
      return reservation;
    },

    async takeKey(tx, principal, reserveKey) {
      // Waits for whoever is making or forbidding the same, then sees what became of it.
      const rows = await tx.query(
        `INSERT INTO reserve_keys AS known (principal, reserve_key) VALUES ($1, $2)
         ON CONFLICT (principal, reserve_key) DO UPDATE SET forbidden = known.forbidden RETURNING forbidden`,
        [principal, reserveKey],
      );
      return !column.boolean(only(rows), "forbidden");
    },

    async forbidKey(tx, principal, reserveKey) {
      await tx.query(
        `INSERT INTO reserve_keys (principal, reserve_key, forbidden) VALUES ($1, $2, true)
         ON CONFLICT (principal, reserve_key) DO UPDATE SET forbidden = true`,
        [principal, reserveKey],
      );
      return this.lockReservation(tx, principal, { t: "key", reserveKey });
    },

    async lockReservation(tx, principal, name) {
      const [row] = await tx.query(
        `SELECT reservation_id, state, lines, create_time, principal, reserve_key FROM reservations
         WHERE principal = $1 AND reservation_id = ${idOf(name)} FOR UPDATE`,
        [principal, textOf(name)],
      );
      return row === undefined ? undefined : fromStoredRow(row);
    },

    async lockLapsed(tx, heldForMs, limit) {
      const rows = await tx.query(
        `SELECT reservation_id, state, lines, create_time, principal, reserve_key FROM reservations
         WHERE state = 'held' AND create_time < now() - make_interval(secs => $1)
         ORDER BY create_time LIMIT $2 FOR UPDATE SKIP LOCKED`,
        [heldForMs / 1_000, limit],
      );
      return rows.map(fromStoredRow);
    },

    async pruneForbidden(olderThanMs, bounds) {
      const rows = await database.query(
        `DELETE FROM reserve_keys WHERE (principal, reserve_key) IN (
           SELECT principal, reserve_key FROM reserve_keys
           WHERE reservation_id IS NULL AND create_time < now() - make_interval(secs => $1) LIMIT 1000 FOR UPDATE SKIP LOCKED
         ) RETURNING 1 AS gone`,
        [olderThanMs / 1_000],
        bounds,
      );
      return rows.length;
    },

    async find(principal, name, bounds) {
      const [row] = await database.query(
        `SELECT reservation_id, state, lines, create_time FROM reservations
         WHERE principal = $1 AND reservation_id = ${idOf(name)}`,
        [principal, textOf(name)],
        bounds,
      );
      if (row !== undefined) return fromReservationRow(row);
      if (name.t === "id") return undefined;
      const forbidden = await database.query(
        "SELECT 1 FROM reserve_keys WHERE principal = $1 AND reserve_key = $2 AND forbidden",
        [principal, name.reserveKey],
        bounds,
      );
      return forbidden.length > 0 ? "forbidden" : undefined;
    },

    async end(tx, reservation, state) {
      await this.lockStock(
        tx,
        reservation.lines.map((line) => line.productId),
      );
      const rows = await tx.query(
        `WITH moved AS (
           UPDATE stock SET held = held - CASE WHEN $2 = 'restocked' THEN 0 ELSE line.quantity END,
                            available = available + CASE WHEN $2 = 'committed' THEN 0 ELSE line.quantity END
           FROM unnest($3::text[], $4::int[]) AS line (product_id, quantity) WHERE stock.product_id = line.product_id
         )
         UPDATE reservations SET state = $2 WHERE reservation_id = $1
         RETURNING reservation_id, state, lines, create_time`,
        [reservation.reservationId, state, ...arraysOf(reservation.lines)],
      );
      return fromReservationRow(only(rows));
    },
  };
}

function arraysOf(lines: readonly Line[]): [productIds: string[], quantities: number[]] {
  return [lines.map((line) => line.productId), lines.map((line) => line.quantity)];
}

/** The id that a name of a reservation means, in SQL: the name's text is $2, its owner $1. */
function idOf(name: ReservationName): string {
  return name.t === "id"
    ? "$2::uuid"
    : "(SELECT reservation_id FROM reserve_keys WHERE principal = $1 AND reserve_key = $2)";
}

function textOf(name: ReservationName): string {
  return name.t === "id" ? name.reservationId : name.reserveKey;
}

function only(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Error("inventory: a statement that returns one row returned none");
  return row;
}

function fromStockRow(row: Row): Stock {
  return {
    productId: column.text(row, "product_id"),
    available: column.integer(row, "available"),
    held: column.integer(row, "held"),
  };
}

function fromReservationRow(row: Row): Reservation {
  return {
    reservationId: column.text(row, "reservation_id"),
    state: fromState(column.text(row, "state")),
    lines: fromLines(column.json(row, "lines")),
    createTime: column.timestamp(row, "create_time"),
  };
}

function fromStoredRow(row: Row): StoredReservation {
  return {
    ...fromReservationRow(row),
    principal: column.text(row, "principal"),
    reserveKey: column.text(row, "reserve_key"),
  };
}

/** The table's own CHECK admits no other. */
function fromState(text: string): ReservationState {
  return text as ReservationState;
}

/** Our own insert made this JSON. */
function fromLines(value: unknown): readonly Line[] {
  return value as readonly Line[];
}
