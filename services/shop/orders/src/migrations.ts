import { sagaMigration } from "@weft/saga";
import { idempotencyMigration, type Migration } from "@weft/store";

/** The orders' schema, step by step. A released step never changes. */
export const migrations: readonly Migration[] = [
  idempotencyMigration,
  {
    name: "0001-orders",
    sql: `
      CREATE TABLE orders (
        order_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        sequence bigint GENERATED ALWAYS AS IDENTITY,
        principal text NOT NULL,
        state text NOT NULL DEFAULT 'placed' CHECK (state IN ('placed', 'cancelled')),
        currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
        lines jsonb NOT NULL,
        reservation_id uuid NOT NULL UNIQUE,
        create_time timestamptz NOT NULL DEFAULT now(),
        update_time timestamptz NOT NULL DEFAULT now(),
        version bigint NOT NULL DEFAULT 1
      );
      CREATE UNIQUE INDEX orders_by_principal ON orders (principal, sequence DESC);
    `,
  },
  sagaMigration,
  {
    name: "0002-orders-by-saga",
    sql: `
      ALTER TABLE orders
        DROP CONSTRAINT orders_state_check,
        ADD CONSTRAINT orders_state_check CHECK (state IN
          ('placed', 'confirmed', 'refused', 'cancelling', 'cancelled', 'partially-refunded', 'refunded')),
        ALTER COLUMN lines DROP NOT NULL,
        ALTER COLUMN reservation_id DROP NOT NULL,
        ADD COLUMN items jsonb NOT NULL DEFAULT '[]',
        ADD COLUMN shipping bigint CHECK (shipping >= 0),
        ADD COLUMN payment_id text,
        ADD COLUMN label_id text,
        ADD COLUMN tracking_code text,
        ADD COLUMN refunded bigint NOT NULL DEFAULT 0 CHECK (refunded >= 0),
        ADD COLUMN refunding bigint NOT NULL DEFAULT 0 CHECK (refunding >= 0),
        ADD COLUMN refusal jsonb;
      UPDATE orders SET shipping = 0;
    `,
  },
  {
    name: "0003-challenges-and-shipments",
    sql: `
      ALTER TABLE orders
        DROP CONSTRAINT orders_state_check,
        ADD CONSTRAINT orders_state_check CHECK (state IN ('placed', 'awaiting-challenge', 'confirmed', 'shipped', 'refused',
          'cancelling', 'cancelled', 'partially-refunded', 'refunded')),
        ADD COLUMN challenge jsonb,
        ADD COLUMN ship_time timestamptz,
        -- When shipping is asked next whether the carrier has got it; nothing while that does not matter.
        ADD COLUMN look_time timestamptz;
      UPDATE orders SET look_time = now() WHERE state IN ('confirmed', 'partially-refunded', 'refunded');
      CREATE INDEX orders_to_look_at ON orders (look_time) WHERE look_time IS NOT NULL;
    `,
  },
];
