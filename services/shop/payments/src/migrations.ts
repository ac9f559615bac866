import { idempotencyMigration, type Migration } from "@weft/store";
import { simulatorMigration } from "./provider/simulator/migration.js";

/** The payments' schema, step by step. A released step never changes. */
export const migrations: readonly Migration[] = [
  idempotencyMigration,
  {
    name: "0001-payments",
    sql: `
      CREATE TABLE cards (
        token text PRIMARY KEY,
        principal text NOT NULL,
        brand text NOT NULL,
        create_time timestamptz NOT NULL DEFAULT now()
      );
      CREATE TABLE payments (
        payment_id uuid PRIMARY KEY,
        principal text NOT NULL,
        token text NOT NULL REFERENCES cards,
        amount bigint NOT NULL CHECK (amount > 0),
        currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
        reference text NOT NULL,
        state text NOT NULL DEFAULT 'pending' CHECK (state IN
          ('pending', 'challenge', 'authorized', 'capturing', 'captured', 'voiding', 'voided', 'declined')),
        held bigint NOT NULL DEFAULT 0 CHECK (held IN (0, amount)),
        captured bigint NOT NULL DEFAULT 0 CHECK (captured BETWEEN 0 AND amount - held),
        refunding bigint NOT NULL DEFAULT 0 CHECK (refunding BETWEEN 0 AND captured),
        refunded bigint NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND refunding),
        decline_reason text,
        capture_key text,
        capture_amount bigint CHECK (capture_amount BETWEEN 1 AND amount),
        create_time timestamptz NOT NULL DEFAULT now(),
        update_time timestamptz NOT NULL DEFAULT now()
      );
      -- One row for each key that authorized a payment; without a payment, the key is forbidden.
      CREATE TABLE payment_keys (
        principal text NOT NULL,
        authorize_key text NOT NULL,
        payment_id uuid UNIQUE REFERENCES payments DEFERRABLE INITIALLY DEFERRED,
        PRIMARY KEY (principal, authorize_key)
      );
      CREATE TABLE refunds (
        refund_id uuid PRIMARY KEY,
        principal text NOT NULL,
        refund_key text NOT NULL,
        payment_id uuid NOT NULL REFERENCES payments,
        amount bigint NOT NULL CHECK (amount > 0),
        state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done')),
        create_time timestamptz NOT NULL DEFAULT now(),
        UNIQUE (principal, refund_key)
      );
      -- The ledger: each line takes from one account what it gives to another. Lines are added, never changed.
      CREATE TABLE movements (
        movement_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        payment_id uuid NOT NULL REFERENCES payments,
        kind text NOT NULL CHECK (kind IN ('authorize', 'capture', 'release', 'refund')),
        from_account text NOT NULL CHECK (from_account IN ('cardholder', 'hold', 'shop')),
        to_account text NOT NULL CHECK (to_account IN ('cardholder', 'hold', 'shop') AND to_account <> from_account),
        amount bigint NOT NULL CHECK (amount > 0),
        currency text NOT NULL,
        create_time timestamptz NOT NULL DEFAULT now()
      );
      CREATE INDEX movements_by_payment ON movements (payment_id);
      CREATE FUNCTION refuse_change_of_ledger() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the ledger is never changed' USING ERRCODE = 'restrict_violation'; END $$;
      CREATE TRIGGER movements_are_added_only BEFORE UPDATE OR DELETE OR TRUNCATE ON movements
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_ledger();
    `,
  },
  simulatorMigration,
  {
    // What is open is asked about until it is settled; a key that was forbidden before it was used is forgotten one day.
    name: "0002-settling",
    sql: `
      ALTER TABLE payments
        ADD COLUMN challenge_prompt text NOT NULL DEFAULT '',
        ADD COLUMN open_time timestamptz DEFAULT now(),
        ADD COLUMN settle_time timestamptz DEFAULT now() + interval '30 seconds',
        ADD COLUMN settle_attempts integer NOT NULL DEFAULT 0;
      UPDATE payments SET open_time = NULL, settle_time = NULL
        WHERE state NOT IN ('pending', 'challenge', 'capturing', 'voiding');
      CREATE INDEX payments_to_settle ON payments (settle_time) WHERE settle_time IS NOT NULL;
      ALTER TABLE refunds
        ADD COLUMN settle_time timestamptz DEFAULT now() + interval '30 seconds',
        ADD COLUMN settle_attempts integer NOT NULL DEFAULT 0;
      UPDATE refunds SET settle_time = NULL WHERE state = 'done';
      CREATE INDEX refunds_to_settle ON refunds (settle_time) WHERE settle_time IS NOT NULL;
      ALTER TABLE payment_keys ADD COLUMN create_time timestamptz NOT NULL DEFAULT now();
      CREATE INDEX forbidden_payment_keys ON payment_keys (create_time) WHERE payment_id IS NULL;
    `,
  },
];
