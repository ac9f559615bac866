import { type CallBounds, column, type Database, type Row, type Transaction } from "@weft/store";
import type { Challenge, Fulfilment, Item, Line, Order, OrderState, Quote, Refusal } from "./domain.js";
import { isFollowed } from "./order-life.js";

/** The channel on which an order's id is notified whenever it changes. */
export const orderChannel = "order_changes";

/** An order with its place in the sequence of all orders. */
export interface ListedOrder {
  readonly order: Order;
  readonly sequence: bigint;
}

/** Orders in Postgres. An order is seen by its own principal only. */
export interface OrderStore {
  /** Records an order under an id of its own. */
  record(
    tx: Transaction,
    order: { readonly principal: string; readonly currency: string; readonly items: readonly Item[] },
  ): Promise<Order>;
  find(principal: string, orderId: string, bounds: CallBounds): Promise<Order | undefined>;
  /** The order, whoever's it is, locked until the transaction ends. */
  lock(tx: Transaction, orderId: string): Promise<Order | undefined>;
  /** Writes a locked order as it is to be, and tells who watches it. */
  save(tx: Transaction, order: Order): Promise<Order>;
  /** Changes an order in a transaction of its own; what the change gives nothing for stays as it is. Nothing when it does not exist. */
  change(orderId: string, change: (order: Order) => Order | undefined, bounds: CallBounds): Promise<Order | undefined>;
  /**
   * Takes orders whose shipment is to be looked up, those that wait longest first. Until their next time comes, which is later the longer an
   * order has waited, no other replica takes them.
   */
  takeToLookAt(limit: number, bounds: CallBounds): Promise<readonly Order[]>;
  /** At most `limit` orders, the newest first, older than `before`. */
  list(
    principal: string,
    page: { readonly limit: number; readonly before: bigint | undefined },
    bounds: CallBounds,
  ): Promise<readonly ListedOrder[]>;
}

const columns = `order_id, principal, state, currency, items, lines, shipping, reservation_id, payment_id, label_id, tracking_code,
  refunded, refunding, refusal, challenge, ship_time, create_time, update_time, version`;

/** A store on a database that has the orders' migrations. */
export function createOrderStore(database: Database): OrderStore {
  return {
    async record(tx, { principal, currency, items }) {
      const rows = await tx.query(
        `INSERT INTO orders (principal, currency, items) VALUES ($1, $2, $3) RETURNING ${columns}`,
        [principal, currency, JSON.stringify(items)],
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

    async lock(tx, orderId) {
      const [row] = await tx.query(`SELECT ${columns} FROM orders WHERE order_id = $1 FOR UPDATE`, [orderId]);
      return row === undefined ? undefined : fromOrderRow(row);
    },

    async save(tx, order) {
      const { quote, fulfilment, refusal, challenge, shipTime } = order;
      const rows = await tx.query(
        `UPDATE orders SET state = $2, items = $3, lines = $4, shipping = $5, reservation_id = $6, payment_id = $7, label_id = $8,
           tracking_code = $9, refunded = $10, refunding = $11, refusal = $12, challenge = $13, ship_time = $14,
           look_time = CASE WHEN $15 THEN coalesce(look_time, now() + make_interval(secs => 5)) END,
           version = version + 1, update_time = now()
         WHERE order_id = $1 RETURNING ${columns}`,
        [
          order.orderId,
          order.state,
          JSON.stringify(order.items),
          quote === undefined ? null : linesToJson(quote.lines),
          quote?.shipping.toString() ?? null,
          fulfilment?.reservationId ?? null,
          fulfilment?.paymentId ?? null,
          fulfilment?.labelId ?? null,
          fulfilment?.trackingCode ?? null,
          order.refunded.toString(),
          order.refunding.toString(),
          refusal === undefined ? null : JSON.stringify(refusal),
          challenge === undefined ? null : JSON.stringify(challenge),
          shipTime ?? null,
          isFollowed(order) && shipTime === undefined,
        ],
      );
      // Postgres delivers it when the transaction commits, and not if it does not.
      await tx.query("SELECT pg_notify($1, $2)", [orderChannel, order.orderId]);
      return fromOrderRow(only(rows));
    },

    change(orderId, change, bounds) {
      return database.transaction(
        async (tx) => {
          const order = await this.lock(tx, orderId);
          const changed = order === undefined ? undefined : change(order);
          return changed === undefined ? order : this.save(tx, changed);
        },
        { bounds },
      );
    },

    async takeToLookAt(limit, bounds) {
      const rows = await database.query(
        `UPDATE orders SET look_time = now() + least(greatest((now() - create_time) / 4, interval '5 seconds'), interval '10 minutes')
         WHERE order_id IN (
           SELECT order_id FROM orders WHERE look_time <= now() ORDER BY look_time LIMIT $1 FOR UPDATE SKIP LOCKED
         ) RETURNING ${columns}`,
        [limit],
        bounds,
      );
      return rows.map(fromOrderRow);
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
    principal: column.text(row, "principal"),
    state: fromState(column.text(row, "state")),
    currency: column.text(row, "currency"),
    items: fromItemsJson(column.json(row, "items")),
    quote: quoteOf(row),
    fulfilment: fulfilmentOf(row),
    refunded: column.bigint(row, "refunded"),
    refunding: column.bigint(row, "refunding"),
    refusal: fromRefusalJson(column.json(row, "refusal")),
    challenge: fromChallengeJson(column.json(row, "challenge")),
    shipTime: row["ship_time"] === null ? undefined : column.timestamp(row, "ship_time"),
    createTime: column.timestamp(row, "create_time"),
    updateTime: column.timestamp(row, "update_time"),
    version: column.bigint(row, "version"),
  };
}

function quoteOf(row: Row): Quote | undefined {
  const lines = column.json(row, "lines");
  return lines === null ? undefined : { lines: fromLinesJson(lines), shipping: column.bigint(row, "shipping") };
}

function fulfilmentOf(row: Row): Fulfilment | undefined {
  if (column.json(row, "payment_id") === null) return undefined;
  return {
    reservationId: column.text(row, "reservation_id"),
    paymentId: column.text(row, "payment_id"),
    labelId: column.text(row, "label_id"),
    trackingCode: column.text(row, "tracking_code"),
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

// Our own statements made this JSON.

function fromLinesJson(value: unknown): readonly Line[] {
  const lines = value as readonly (Omit<Line, "unitPrice"> & { readonly unitPrice: string })[];
  return lines.map((line) => ({ ...line, unitPrice: BigInt(line.unitPrice) }));
}

function fromItemsJson(value: unknown): readonly Item[] {
  return value as readonly Item[];
}

function fromRefusalJson(value: unknown): Refusal | undefined {
  return (value ?? undefined) as Refusal | undefined;
}

function fromChallengeJson(value: unknown): Challenge | undefined {
  if (value === null || value === undefined) return undefined;
  const kept = value as Omit<Challenge, "expireTime"> & { readonly expireTime: string };
  return { ...kept, expireTime: new Date(kept.expireTime) };
}
