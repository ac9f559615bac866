import { randomInt, randomUUID } from "node:crypto";
import { type CallBounds, column, type Database, type Row, type Transaction } from "@weft/store";
import type { Address, Currency, Label, LabelName, LabelState, Quote, Shipment, Speed, Zone } from "./domain.js";

/** A label with what only the service itself needs to know. */
export interface StoredLabel extends Label {
  /** The idempotency key that made it. */
  readonly labelKey: string;
}

/** Labels in Postgres. A label is seen by its own principal only. */
export interface LabelStore {
  /** Takes a key for a label, or finds whose it is: waits for whoever is doing the same. */
  takeKey(
    tx: Transaction,
    principal: string,
    labelKey: string,
  ): Promise<{ readonly t: "new"; readonly labelId: string } | { readonly t: "known" } | { readonly t: "forbidden" }>;
  /** Forbids a key that nobody has used; true when it was used already. */
  forbidKey(tx: Transaction, principal: string, labelKey: string): Promise<boolean>;
  make(
    tx: Transaction,
    label: {
      readonly labelId: string;
      readonly principal: string;
      readonly labelKey: string;
      readonly shipment: Shipment;
      readonly zone: Zone;
      readonly quote: Quote;
    },
  ): Promise<StoredLabel>;
  /** `forbidden` when it is named by a key that may never make one. */
  find(principal: string, name: LabelName, bounds: CallBounds): Promise<Label | "forbidden" | undefined>;
  /** A caller's label, locked until this transaction ends. */
  lock(tx: Transaction, principal: string, name: LabelName): Promise<StoredLabel | undefined>;
  /** Hands over to the carrier what was labelled that long ago, at most so many; gives how many. Not what somebody is about to cancel. */
  handOver(labelledForMs: number, limit: number, bounds: CallBounds): Promise<number>;
  /** Forgets keys that were forbidden that long ago and never used, in small batches; gives how many. */
  pruneForbidden(olderThanMs: number, bounds: CallBounds): Promise<number>;
  /** Moves a locked label to another state. */
  move(tx: Transaction, labelId: string, state: LabelState): Promise<StoredLabel>;
}

const columns = `label_id, label_key, state, tracking_code, speed, zone, weight_grams, parcels, price, currency, reference, address,
  create_time, update_time`;

/** A store on a database that has shipping's migrations. */
export function createLabelStore(database: Database): LabelStore {
  return {
    async takeKey(tx, principal, labelKey) {
      const made = await tx.query(
        `INSERT INTO label_keys (principal, label_key, label_id) VALUES ($1, $2, $3)
         ON CONFLICT (principal, label_key) DO NOTHING RETURNING label_id`,
        [principal, labelKey, randomUUID()],
      );
      if (made[0] !== undefined) return { t: "new", labelId: column.text(made[0], "label_id") };
      return { t: (await isUsed(tx, principal, labelKey)) ? "known" : "forbidden" };
    },

    async forbidKey(tx, principal, labelKey) {
      await tx.query(
        "INSERT INTO label_keys (principal, label_key) VALUES ($1, $2) ON CONFLICT (principal, label_key) DO NOTHING",
        [principal, labelKey],
      );
      return isUsed(tx, principal, labelKey);
    },

    async make(tx, { labelId, principal, labelKey, shipment, zone, quote }) {
      const rows = await tx.query(
        `INSERT INTO labels (label_id, principal, label_key, tracking_code, speed, zone, weight_grams, parcels, price, currency,
           reference, address)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING ${columns}`,
        [
          labelId,
          principal,
          labelKey,
          newTrackingCode(),
          shipment.speed,
          zone,
          shipment.weightGrams.toString(),
          quote.parcels,
          quote.price.toString(),
          shipment.currency,
          shipment.reference,
          JSON.stringify(shipment.address),
        ],
      );
      return fromLabelRow(only(rows));
    },

    async find(principal, name, bounds) {
      const [row] = await database.query(select(name), [principal, textOf(name)], bounds);
      if (row !== undefined) return fromLabelRow(row);
      if (name.t === "id") return undefined;
      const forbidden = await database.query(
        "SELECT 1 FROM label_keys WHERE principal = $1 AND label_key = $2 AND label_id IS NULL",
        [principal, name.labelKey],
        bounds,
      );
      return forbidden.length > 0 ? "forbidden" : undefined;
    },

    async lock(tx, principal, name) {
      const [row] = await tx.query(`${select(name)} FOR UPDATE`, [principal, textOf(name)]);
      return row === undefined ? undefined : fromLabelRow(row);
    },

    async handOver(labelledForMs, limit, bounds) {
      const rows = await database.query(
        `UPDATE labels SET state = 'handed-over', update_time = now() WHERE label_id IN (
           SELECT label_id FROM labels WHERE state = 'created' AND create_time <= now() - make_interval(secs => $1)
           ORDER BY create_time LIMIT $2 FOR UPDATE SKIP LOCKED
         ) RETURNING 1 AS gone`,
        [labelledForMs / 1_000, limit],
        bounds,
      );
      return rows.length;
    },

    async pruneForbidden(olderThanMs, bounds) {
      const rows = await database.query(
        `DELETE FROM label_keys WHERE (principal, label_key) IN (
           SELECT principal, label_key FROM label_keys
           WHERE label_id IS NULL AND create_time < now() - make_interval(secs => $1) LIMIT 1000 FOR UPDATE SKIP LOCKED
         ) RETURNING 1 AS gone`,
        [olderThanMs / 1_000],
        bounds,
      );
      return rows.length;
    },

    async move(tx, labelId, state) {
      const rows = await tx.query(
        `UPDATE labels SET state = $2, update_time = now() WHERE label_id = $1 RETURNING ${columns}`,
        [labelId, state],
      );
      return fromLabelRow(only(rows));
    },
  };
}

async function isUsed(tx: Transaction, principal: string, labelKey: string): Promise<boolean> {
  const rows = await tx.query(
    "SELECT 1 FROM label_keys WHERE principal = $1 AND label_key = $2 AND label_id IS NOT NULL",
    [principal, labelKey],
  );
  return rows.length > 0;
}

/** The owner is $1, the name's text $2. */
function select(name: LabelName): string {
  const id = name.t === "id" ? "$2::uuid" : "(SELECT label_id FROM label_keys WHERE principal = $1 AND label_key = $2)";
  return `SELECT ${columns} FROM labels WHERE principal = $1 AND label_id = ${id}`;
}

function textOf(name: LabelName): string {
  return name.t === "id" ? name.labelId : name.labelKey;
}

const codeLetters = "BCDFGHJKLMNPQRSTVWXZ";

/** Letters and digits in turn: no run of digits, that could be taken for a card's. */
function newTrackingCode(): string {
  let code = "WF";
  for (let n = 0; n < 8; n++) code += `${codeLetters.charAt(randomInt(codeLetters.length))}${randomInt(10)}`;
  return code;
}

function only(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Error("shipping: a statement that returns one row returned none");
  return row;
}

function fromLabelRow(row: Row): StoredLabel {
  return {
    labelId: column.text(row, "label_id"),
    labelKey: column.text(row, "label_key"),
    state: fromState(column.text(row, "state")),
    trackingCode: column.text(row, "tracking_code"),
    speed: fromSpeed(column.text(row, "speed")),
    zone: fromZone(column.text(row, "zone")),
    weightGrams: column.bigint(row, "weight_grams"),
    parcels: column.integer(row, "parcels"),
    price: column.bigint(row, "price"),
    currency: fromCurrency(column.text(row, "currency")),
    reference: column.text(row, "reference"),
    address: fromAddress(column.json(row, "address")),
    createTime: column.timestamp(row, "create_time"),
    updateTime: column.timestamp(row, "update_time"),
  };
}

// The table's own CHECKs admit no other.
function fromState(text: string): LabelState {
  return text as LabelState;
}

function fromSpeed(text: string): Speed {
  return text as Speed;
}

function fromZone(text: string): Zone {
  return text as Zone;
}

function fromCurrency(text: string): Currency {
  return text as Currency;
}

/** Our own insert made this JSON. */
function fromAddress(value: unknown): Address {
  return value as Address;
}
