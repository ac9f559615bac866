import type { Migration } from "@weft/store";

/** The simulator's own tables: they stand for another company's, and nothing of the payment service reads them. No card number is in them. */
export const simulatorMigration: Migration = {
  name: "simulator-1",
  sql: `
    CREATE TABLE simulator_cards (
      token text PRIMARY KEY,
      behaviour text NOT NULL
    );
    CREATE TABLE simulator_charges (
      charge_key text PRIMARY KEY,
      amount bigint,
      state text NOT NULL
        CHECK (state IN ('silent', 'deciding', 'authorized', 'challenge', 'declined', 'captured', 'voided')),
      reason text,
      decide_time timestamptz,
      captured bigint,
      held boolean NOT NULL DEFAULT false,
      CHECK (captured <= amount)
    );
    CREATE TABLE simulator_refunds (
      refund_key text PRIMARY KEY,
      charge_key text NOT NULL REFERENCES simulator_charges,
      amount bigint NOT NULL CHECK (amount > 0)
    );
  `,
};
