import { idempotencyMigration, type Migration } from "@weft/store";

/** Shipping's schema, step by step. A released step never changes. */
export const migrations: readonly Migration[] = [
  idempotencyMigration,
  {
    name: "0001-labels",
    sql: `
      CREATE TABLE labels (
        label_id uuid PRIMARY KEY,
        principal text NOT NULL,
        label_key text NOT NULL,
        state text NOT NULL DEFAULT 'created' CHECK (state IN ('created', 'handed-over', 'delivered', 'cancelled')),
        tracking_code text NOT NULL UNIQUE,
        speed text NOT NULL CHECK (speed IN ('standard', 'express')),
        zone text NOT NULL CHECK (zone IN ('home', 'near', 'far')),
        weight_grams bigint NOT NULL CHECK (weight_grams > 0),
        parcels integer NOT NULL CHECK (parcels > 0),
        price bigint NOT NULL CHECK (price >= 0),
        currency text NOT NULL CHECK (currency IN ('EUR', 'USD')),
        reference text NOT NULL,
        address jsonb NOT NULL,
        create_time timestamptz NOT NULL DEFAULT now(),
        update_time timestamptz NOT NULL DEFAULT now()
      );
      -- One row for each key that made a label; without a label, the key is forbidden.
      CREATE TABLE label_keys (
        principal text NOT NULL,
        label_key text NOT NULL,
        label_id uuid UNIQUE REFERENCES labels DEFERRABLE INITIALLY DEFERRED,
        PRIMARY KEY (principal, label_key)
      );
    `,
  },
  {
    // What waits for the carrier is found; a key that was forbidden before it was used is forgotten one day.
    name: "0002-carrier",
    sql: `
      CREATE INDEX labels_to_pick_up ON labels (create_time) WHERE state = 'created';
      ALTER TABLE label_keys ADD COLUMN create_time timestamptz NOT NULL DEFAULT now();
      CREATE INDEX forbidden_label_keys ON label_keys (create_time) WHERE label_id IS NULL;
    `,
  },
];
