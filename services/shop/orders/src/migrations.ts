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
];
