import { type CallBounds, column, type Database, type Row, type Transaction } from "@weft/store";
import type { Line, Order, OrderState } from "./domain.js";

/** The channel on which an order's id is notified whenever it changes. */
export const orderChannel = "order_changes";

/** An order with its place in the sequence of all orders. */
export interface ListedOrder {
  readonly order: Order;
  readonly sequence: bigint;
}

/** Orders in Postgres. An order is seen by its own principal only. */
export interface OrderStore {
  record(
    tx: Transaction,
    order: {
      readonly principal: string;
      readonly currency: string;
      readonly lines: readonly Line[];
      readonly reservationId: string;
    },
  ): Promise<Order>;
  find(principal: string, orderId: string, bounds: CallBounds): Promise<Order | undefined>;
  /** The order, locked until the transaction ends. */
  lock(tx: Transaction, principal: string, orderId: string): Promise<Order | undefined>;
  /** Moves a locked order to another state. */
  move(tx: Transaction, orderId: string, state: OrderState): Promise<Order>;
  /** At most `limit` orders, the newest first, older than `before`. */
  list(
    principal: string,
    page: { readonly limit: number; readonly before: bigint | undefined },
    bounds: CallBounds,
  ): Promise<readonly ListedOrder[]>;
}

const columns = "order_id, state, currency, lines, reservation_id, create_time, update_time, version";

/** A store on a database that has the orders' migrations. */
export function createOrderStore(database: Database): OrderStore {
  return {
    async record(tx, { principal, currency, lines, reservationId }) {
      const rows = await tx.query(
        `INSERT INTO orders (principal, currency, lines, reservation_id) VALUES ($1, $2, $3, $4) RETURNING ${columns}`,
        [principal, currency, linesToJson(lines), reservationId],
      );
      return fromOrderRow(only(rows));
    },

    async find(principal, orderId, bounds) {
      const [row] = await database.query(
        `SELECT ${columns} FROM orders WHERE order_id = $1 AND principal = $2`,
        [orderId, principal],
        bounds,
      );
      return row === undefined ? undefined : fromOrderRow(row);
    },

    async lock(tx, principal, orderId) {
      const [row] = await tx.query(`SELECT ${columns} FROM orders WHERE order_id = $1 AND principal = $2 FOR UPDATE`, [
        orderId,
        principal,
      ]);
      return row === undefined ? undefined : fromOrderRow(row);
    },

    async move(tx, orderId, state) {
      const rows = await tx.query(
        `UPDATE orders SET state = $2, version = version + 1, update_time = now() WHERE order_id = $1 RETURNING ${columns}`,
        [orderId, state],
      );
      // Postgres delivers it when the transaction commits, and not if it does not.
      await tx.query("SELECT pg_notify($1, $2)", [orderChannel, orderId]);
      return fromOrderRow(only(rows));
    },

    async list(principal, { limit, before }, bounds) {
      const rows = await database.query(
        `SELECT ${columns}, sequence FROM orders
         WHERE principal = $1 AND ($2::bigint IS NULL OR sequence < $2) ORDER BY sequence DESC LIMIT $3`,
        [principal, before?.toString() ?? null, limit],
        bounds,
      );
      return rows.map((row) => ({ order: fromOrderRow(row), sequence: column.bigint(row, "sequence") }));
    },
  };
}

function only(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Error("orders: a statement that returns one row returned none");
  return row;
}

function fromOrderRow(row: Row): Order {
  return {
    orderId: column.text(row, "order_id"),
    state: fromState(column.text(row, "state")),
    currency: column.text(row, "currency"),
    lines: fromLinesJson(column.json(row, "lines")),
    reservationId: column.text(row, "reservation_id"),
    createTime: column.timestamp(row, "create_time"),
    updateTime: column.timestamp(row, "update_time"),
    version: column.bigint(row, "version"),
  };
}

/** The table's own CHECK admits no other. */
function fromState(text: string): OrderState {
  return text as OrderState;
}

/** JSON has no 64-bit integers: amounts go as text. */
function linesToJson(lines: readonly Line[]): string {
  return JSON.stringify(lines.map((line) => ({ ...line, unitPrice: line.unitPrice.toString() })));
}

/** Our own insert made this JSON. */
function fromLinesJson(value: unknown): readonly Line[] {
  const lines = value as readonly (Omit<Line, "unitPrice"> & { readonly unitPrice: string })[];
  return lines.map((line) => ({ ...line, unitPrice: BigInt(line.unitPrice) }));
}
