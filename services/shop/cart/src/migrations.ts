import { idempotencyMigration, type Migration } from "@weft/store";

/** The carts' schema, step by step. A released step never changes. */
export const migrations: readonly Migration[] = [
  idempotencyMigration,
  {
    name: "0001-carts",
    sql: `
      CREATE TABLE carts (
        principal text PRIMARY KEY,
        cart_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
        items jsonb NOT NULL DEFAULT '[]',
        version bigint NOT NULL DEFAULT 0,
        update_time timestamptz NOT NULL DEFAULT now()
      );
    `,
  },
];
