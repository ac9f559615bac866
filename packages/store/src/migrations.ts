import { createHash } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Logger, silentLogger } from "@weft/foundation";
import type { CallBounds } from "./call-bounds.js";
import { column } from "./columns.js";
import type { Database, Transaction } from "./database.js";
import { isConnectionLoss } from "./postgres-errors.js";

/** One step of a schema. Once released it never changes: the next change is the next step. */
export interface Migration {
  /** Unique, such as `0002-orders-by-user`. */
  readonly name: string;
  /** One or more statements; they run in one transaction. */
  readonly sql: string;
}

/** The advisory lock that migrations of one database take turns by; any fixed number does. */
const lockKey = 7_305_188_416_253;

/**
 * Brings the database's schema up to `migrations`, in their order, and gives the names of those that it ran.
 *
 * - Replicas that start at once take turns by an advisory lock; each migration runs once.
 * - Each runs in a transaction of its own: one that fails leaves no trace, and those before it stay.
 * - A migration that was changed after it ran, or put in before one that ran, is refused with its name.
 * - Migrations that a newer program has run already are left alone: during a rolling update both run.
 */
export async function migrate(
  database: Database,
  migrations: readonly Migration[],
  options: { readonly bounds?: CallBounds; readonly logger?: Logger } = {},
): Promise<readonly string[]> {
  const { logger = silentLogger, bounds = {} } = options;
  const names = new Set(migrations.map((migration) => migration.name));
  if (names.size !== migrations.length) throw new TypeError("migrations: two have one name");
  const ran: string[] = [];
  for (;;) {
    const next = await database.transaction((tx) => step(tx, migrations), { bounds });
    if (next === undefined) return ran;
    logger.info("migration ran", { migration: next });
    ran.push(next);
  }
}

/**
 * Waits until the database answers, then migrates; begins again when it goes away in between.
 * What a service's start waits for: it stays alive and says why it is not ready.
 */
export async function migrateWhenUp(
  database: Database,
  migrations: readonly Migration[],
  options: { readonly signal: AbortSignal; readonly logger?: Logger },
): Promise<void> {
  const { signal, logger } = options;
  for (;;) {
    await database.untilUp(signal);
    try {
      await migrate(database, migrations, { bounds: { signal }, ...(logger === undefined ? {} : { logger }) });
      return;
    } catch (error) {
      if (!isConnectionLoss(error)) throw error;
    }
  }
}

/** Runs the first migration that has not run, under the lock. */
async function step(tx: Transaction, migrations: readonly Migration[]): Promise<string | undefined> {
  // Another replica's migration, and this one, may take as long as they need.
  await tx.query("SELECT set_config('lock_timeout', '0', true), set_config('statement_timeout', '0', true)");
  await tx.query("SELECT pg_advisory_xact_lock($1)", [lockKey]);
  await tx.query(`
    CREATE TABLE IF NOT EXISTS weft_migrations (
      name text PRIMARY KEY,
      checksum text NOT NULL,
      ran_at timestamptz NOT NULL DEFAULT now()
    )`);
  const rows = await tx.query("SELECT name, checksum FROM weft_migrations");
  const done = new Map(rows.map((row) => [column.text(row, "name"), column.text(row, "checksum")]));
  const next = firstPending(migrations, done);
  if (next === undefined) return undefined;
  await tx.query(next.sql);
  await tx.query("INSERT INTO weft_migrations (name, checksum) VALUES ($1, $2)", [next.name, checksumOf(next)]);
  return next.name;
}

function firstPending(migrations: readonly Migration[], done: ReadonlyMap<string, string>): Migration | undefined {
  let pending: Migration | undefined;
  for (const migration of migrations) {
    const checksum = done.get(migration.name);
    if (checksum === undefined) {
      pending ??= migration;
      continue;
    }
    if (checksum !== checksumOf(migration)) {
      throw new ConnectError(
        `migration ${JSON.stringify(migration.name)} was changed after it ran: put the change into a new migration`,
        Code.FailedPrecondition,
      );
    }
    if (pending !== undefined) {
      throw new ConnectError(
        `migration ${JSON.stringify(pending.name)} stands before ${JSON.stringify(migration.name)}, which ran already: put it last`,
        Code.FailedPrecondition,
      );
    }
  }
  return pending;
}

/** White space at the ends of lines and around the whole does not count: formatting a file is no change. */
function checksumOf(migration: Migration): string {
  const text = migration.sql
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .join("\n");
  return createHash("sha256").update(text).digest("hex");
}
