export type { CallBounds } from "./call-bounds.js";
export { column, type Row } from "./columns.js";
export {
  createDatabase,
  type Database,
  type DatabaseOptions,
  type DatabaseState,
  type NamedStatement,
  type Queries,
  type Transaction,
  type TransactionOptions,
  whyNotUp,
} from "./database.js";
export { createDataKey, type DataKey } from "./idempotency/data-key.js";
export {
  createIdempotency,
  type Idempotency,
  type IdempotencyOptions,
  type IdempotentCall,
  idempotencyMigration,
} from "./idempotency/idempotency.js";
export { type Migration, migrate, migrateWhenUp } from "./migrations.js";
export { createNotifications, type Notifications } from "./notifications.js";
export { type DatabaseSecret, ensureOwnDatabase, newDatabaseSecret, randomPassword } from "./own-database.js";
export { fromPostgresError, isCommitOutcomeUnknown, isConnectionLoss, sqlState } from "./postgres-errors.js";
