import { idempotencyMigration, type Migration } from "@weft/store";
import { seedStock } from "./seed-stock.js";

/** The inventory's schema, step by step. A released step never changes. */
export const migrations: readonly Migration[] = [
  idempotencyMigration,
  {
    name: "0001-stock",
    sql: `
      CREATE TABLE stock (
        product_id text PRIMARY KEY,
        available integer NOT NULL CHECK (available >= 0),
        held integer NOT NULL DEFAULT 0 CHECK (held >= 0)
      );
      CREATE TABLE reservations (
        reservation_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        principal text NOT NULL,
        reserve_key text NOT NULL,
        state text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'committed', 'released')),
        lines jsonb NOT NULL,
        create_time timestamptz NOT NULL DEFAULT now()
      );
    `,
  },
  {
    name: "0002-first-stock",
    sql: `
      INSERT INTO stock (product_id, available) VALUES
        ${seedStock.map(([productId, available]) => `('${productId}', ${available})`).join(",\n")};
    `,
  },
  {
    // One row for each key that made a reservation, or must never make one.
    name: "0003-reserve-keys",
    sql: `
      CREATE TABLE reserve_keys (
        principal text NOT NULL,
        reserve_key text NOT NULL,
        reservation_id uuid REFERENCES reservations,
        forbidden boolean NOT NULL DEFAULT false,
        PRIMARY KEY (principal, reserve_key)
      );
      INSERT INTO reserve_keys (principal, reserve_key, reservation_id)
        SELECT DISTINCT ON (principal, reserve_key) principal, reserve_key, reservation_id FROM reservations
        ORDER BY principal, reserve_key, create_time DESC;
    `,
  },
  {
    name: "0004-restocked",
    sql: `
      ALTER TABLE reservations DROP CONSTRAINT reservations_state_check,
        ADD CONSTRAINT reservations_state_check CHECK (state IN ('held', 'committed', 'released', 'restocked'));
    `,
  },
  {
    // What is held for too long lapses; a key that was forbidden before it was used is forgotten one day.
    name: "0005-lapsing",
    sql: `
      CREATE INDEX held_reservations ON reservations (create_time) WHERE state = 'held';
      ALTER TABLE reserve_keys ADD COLUMN create_time timestamptz NOT NULL DEFAULT now();
      CREATE INDEX forbidden_reserve_keys ON reserve_keys (create_time) WHERE reservation_id IS NULL;
    `,
  },
];
