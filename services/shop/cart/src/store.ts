import { type CallBounds, column, type Database, type Row, type Transaction } from "@weft/store";
import type { Cart, Item } from "./domain.js";

/** Carts in Postgres: one for each principal. */
export interface CartStore {
  find(principal: string, bounds: CallBounds): Promise<Cart | undefined>;
  /** The caller's cart, made if there is none, locked until this transaction ends. */
  open(tx: Transaction, principal: string): Promise<Cart>;
  /**
   * The caller's cart and another one by its id, both locked; always in the same order, so that two that merge into each other
   * do not wait for each other.
   */
  openBoth(
    tx: Transaction,
    principal: string,
    cartId: string,
  ): Promise<{ readonly own: Cart; readonly other: Cart | undefined }>;
  /** Writes what is in a locked cart, as its next version. */
  save(tx: Transaction, cartId: string, items: readonly Item[]): Promise<Cart>;
}

const columns = "cart_id, items, version, update_time";

/** A store on a database that has the carts' migrations. */
export function createCartStore(database: Database): CartStore {
  return {
    async find(principal, bounds) {
      const [row] = await database.query(`SELECT ${columns} FROM carts WHERE principal = $1`, [principal], bounds);
      return row === undefined ? undefined : fromRow(row);
    },

    async open(tx, principal) {
      await tx.query("INSERT INTO carts (principal) VALUES ($1) ON CONFLICT (principal) DO NOTHING", [principal]);
      return fromRow(only(await tx.query(`SELECT ${columns} FROM carts WHERE principal = $1 FOR UPDATE`, [principal])));
    },

    async openBoth(tx, principal, cartId) {
      await tx.query("INSERT INTO carts (principal) VALUES ($1) ON CONFLICT (principal) DO NOTHING", [principal]);
      const rows = await tx.query(
        `SELECT ${columns}, principal = $1 AS own FROM carts WHERE principal = $1 OR cart_id = $2 ORDER BY cart_id FOR UPDATE`,
        [principal, cartId],
      );
      const own = rows.filter((row) => column.boolean(row, "own"));
      const [other] = rows.filter((row) => column.text(row, "cart_id") === cartId);
      return { own: fromRow(only(own)), other: other === undefined ? undefined : fromRow(other) };
    },

    async save(tx, cartId, items) {
      const rows = await tx.query(
        `UPDATE carts SET items = $2, version = version + 1, update_time = now() WHERE cart_id = $1 RETURNING ${columns}`,
        [cartId, itemsToJson(items)],
      );
      return fromRow(only(rows));
    },
  };
}

function only(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Error("cart: a statement that returns one row returned none");
  return row;
}

function fromRow(row: Row): Cart {
  return {
    cartId: column.text(row, "cart_id"),
    items: fromItemsJson(column.json(row, "items")),
    version: column.bigint(row, "version"),
    updateTime: column.timestamp(row, "update_time"),
  };
}

/** JSON has neither 64-bit integers nor dates: both go as text. */
function itemsToJson(items: readonly Item[]): string {
  return JSON.stringify(items, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
}

interface ItemJson extends Omit<Item, "prices" | "addTime"> {
  readonly prices: readonly { readonly currency: string; readonly minorUnits: string }[];
  readonly addTime: string;
}

/** Our own update made this JSON. */
function fromItemsJson(value: unknown): readonly Item[] {
  const items = value as readonly ItemJson[];
  return items.map((item) => ({
    ...item,
    prices: item.prices.map((price) => ({ ...price, minorUnits: BigInt(price.minorUnits) })),
    addTime: new Date(item.addTime),
  }));
}
