import type { Migration } from "@weft/store";

/** The tables of a service's sagas: put it among the service's migrations. */
export const sagaMigration: Migration = {
  name: "weft-saga-1",
  sql: `
    CREATE TABLE weft_sagas (
      saga_id text PRIMARY KEY,
      sequence bigint GENERATED ALWAYS AS IDENTITY,
      name text NOT NULL,
      version integer NOT NULL,
      state text NOT NULL CHECK (state IN ('running', 'compensating', 'completed', 'compensated', 'parked')),
      parked_from text CHECK (parked_from IN ('running', 'compensating')),
      parked_reason text,
      step text NOT NULL DEFAULT '',
      pivot_begun boolean NOT NULL DEFAULT false,
      cancel_reason text,
      input bytea NOT NULL,
      journal bytea NOT NULL DEFAULT '',
      principal text,
      trace_parent text,
      trace_state text,
      owner text,
      fence bigint NOT NULL DEFAULT 0,
      revision bigint NOT NULL DEFAULT 0,
      takeovers integer NOT NULL DEFAULT 0,
      watched boolean NOT NULL DEFAULT false,
      due_at timestamptz NOT NULL,
      created_at timestamptz NOT NULL,
      updated_at timestamptz NOT NULL,
      ended_at timestamptz
    ) WITH (fillfactor = 70);
    CREATE UNIQUE INDEX weft_sagas_by_sequence ON weft_sagas (sequence);
    CREATE INDEX weft_sagas_due ON weft_sagas (due_at) WHERE owner IS NULL AND state IN ('running', 'compensating');
    CREATE INDEX weft_sagas_owned ON weft_sagas (owner) WHERE owner IS NOT NULL;
    CREATE INDEX weft_sagas_open ON weft_sagas (name, version, state) WHERE ended_at IS NULL;
    CREATE INDEX weft_sagas_ended ON weft_sagas (ended_at) WHERE ended_at IS NOT NULL;
    CREATE TABLE weft_saga_workers (
      worker_id text PRIMARY KEY,
      expires_at timestamptz NOT NULL
    );
    CREATE TABLE weft_saga_locks (
      key text NOT NULL,
      saga_id text NOT NULL,
      position bigint GENERATED ALWAYS AS IDENTITY,
      PRIMARY KEY (key, saga_id)
    );
    CREATE INDEX weft_saga_locks_by_saga ON weft_saga_locks (saga_id);
    CREATE TABLE weft_saga_acts (
      act_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      saga_id text NOT NULL,
      operator text NOT NULL,
      act text NOT NULL,
      step text NOT NULL,
      reason text NOT NULL,
      acted_at timestamptz NOT NULL
    );
    CREATE INDEX weft_saga_acts_by_saga ON weft_saga_acts (saga_id, act_id);
  `,
};
