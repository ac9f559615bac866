import { ConnectError } from "@connectrpc/connect";
import {
  type BackoffPolicy,
  type Clock,
  createBackoff,
  type Logger,
  Scope,
  silentLogger,
  sleep,
  systemClock,
  type Watch,
  WatchSource,
} from "@weft/foundation";
import pg from "pg";
import { type CallBounds, longestStatementMs, statementTimeoutMs } from "./call-bounds.js";
import type { Row } from "./columns.js";
import { CommitOutcomeUnknown, fromPostgresError, isConnectionLoss, isWorthRerunning } from "./postgres-errors.js";

/**
 * A statement that each connection parses and plans once, under its name: one name is one text for ever. For the few statements on a hot
 * path whose planning would cost more than their work.
 */
export interface NamedStatement {
  readonly name: string;
  readonly text: string;
}

/** Runs SQL. Every error is a ConnectError, see {@link fromPostgresError}. */
export interface Queries {
  query(sql: string | NamedStatement, values?: readonly unknown[]): Promise<readonly Row[]>;
}

/** Queries inside one transaction. Of no use after it. */
export interface Transaction extends Queries {
  /** Never there: keeps a transaction apart from a database, so that nothing meant for the one is run on the other. */
  readonly inTransaction: true;
}

/** Whether the database can be reached. */
export type DatabaseState =
  | { readonly t: "connecting" }
  | { readonly t: "up" }
  | { readonly t: "down"; readonly reason: string };

/** Why the database is of no use now, for a readiness gate; nothing when it is up. */
export function whyNotUp(state: DatabaseState): string | undefined {
  switch (state.t) {
    case "up":
      return undefined;
    case "connecting":
      return "the database has not answered yet";
    case "down":
      return `the database cannot be reached: ${state.reason}`;
  }
}

export interface TransactionOptions {
  readonly bounds?: CallBounds;
  /** Default `read committed`. With `serializable`, `work` must expect to be run again. */
  readonly isolation?: "read committed" | "repeatable read" | "serializable";
  /** How long a statement may wait for a lock that another transaction holds; then it is ABORTED. Default: as long as it may run. */
  readonly lockTimeoutMs?: number;
  /** How often the work may run in all, when another transaction got in its way. Default 5. */
  readonly attempts?: number;
}

/** A Postgres database. Disposing closes its connections. */
export interface Database extends AsyncDisposable {
  /** Whether it can be reached. While it cannot, a background task tries again with back-off and says why. */
  readonly state: Watch<DatabaseState>;
  /** Runs one statement by itself. */
  query(sql: string | NamedStatement, values?: readonly unknown[], bounds?: CallBounds): Promise<readonly Row[]>;
  /**
   * Runs `work` in a transaction: commits what it did when it resolves, undoes it when it rejects. After a serialization failure or a
   * deadlock the whole is run again, so `work` must do nothing outside that cannot be done twice.
   */
  transaction<T>(work: (tx: Transaction) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /** Resolves once the database answers; rejects with the signal's reason. */
  untilUp(signal: AbortSignal): Promise<void>;
}

export interface DatabaseOptions {
  /** `postgres://user:password@host:port/database`. A secret. */
  readonly url: string;
  /** Shown in Postgres' list of sessions. */
  readonly applicationName?: string;
  /** Default 10. */
  readonly maxConnections?: number;
  /** How long to wait for a connection, a new one or one that is given back. Default 3 s. */
  readonly acquireTimeoutMs?: number;
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly random?: () => number;
}

const reconnect: BackoffPolicy = { initialMs: 100, maxMs: 5_000, multiplier: 1.6, jitter: 0.2 };
const rerun: BackoffPolicy = { initialMs: 5, maxMs: 200, multiplier: 2, jitter: 0.5 };

/** Makes a database over a pool of connections, and begins to reach for it at once. */
export function createDatabase(options: DatabaseOptions): Database {
  return new PooledDatabase(options);
}

class PooledDatabase implements Database {
  readonly #pool: pg.Pool;
  readonly #scope = new Scope();
  readonly #state = new WatchSource<DatabaseState>({ t: "connecting" });
  /** The statement timeout that each connection has now. */
  readonly #timeouts = new WeakMap<pg.PoolClient, number>();
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #random: () => number;
  #reaching = false;

  constructor(options: DatabaseOptions) {
    this.#logger = options.logger ?? silentLogger;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#pool = new pg.Pool({
      connectionString: options.url,
      application_name: options.applicationName ?? "weft",
      max: options.maxConnections ?? 10,
      connectionTimeoutMillis: options.acquireTimeoutMs ?? 3_000,
      idleTimeoutMillis: 30_000,
      keepAlive: true,
      statement_timeout: longestStatementMs,
      idle_in_transaction_session_timeout: 60_000,
    });
    // An idle connection that breaks is an event of the pool; without a listener it would end the process.
    this.#pool.on("error", (error) => this.#lost(error));
    // One that breaks while it is lent is an event of its own, beside the failure of the query under way.
    this.#pool.on("connect", (client) => void client.on("error", (error) => this.#lost(error)));
    this.#reach();
  }

  get state(): Watch<DatabaseState> {
    return this.#state;
  }

  async query(
    sql: string | NamedStatement,
    values: readonly unknown[] = [],
    bounds: CallBounds = {},
  ): Promise<readonly Row[]> {
    return this.#withConnection(bounds, async (client) => rowsOf(await run(client, sql, values)));
  }

  async transaction<T>(work: (tx: Transaction) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const { bounds = {}, isolation = "read committed", attempts = 5, lockTimeoutMs = 0 } = options;
    // One round trip for both.
    const begin = `BEGIN ISOLATION LEVEL ${isolation}; SET LOCAL lock_timeout = ${Math.ceil(lockTimeoutMs)}`;
    const backoff = createBackoff(rerun, this.#random);
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#withConnection(bounds, (client) => inTransaction(client, begin, work));
      } catch (error) {
        if (attempt >= attempts || !isWorthRerunning(error)) throw error;
        await sleep(backoff.nextMs(), { clock: this.#clock, signal: bounds.signal ?? this.#scope.signal });
      }
    }
  }

  async untilUp(signal: AbortSignal): Promise<void> {
    await this.#state.until((state) => state.t === "up", signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope[Symbol.asyncDispose]();
    if (!this.#pool.ended && !this.#pool.ending) await this.#pool.end();
  }

  /** Lends a connection to `work`. One that was interrupted or broke is closed, not given back. */
  async #withConnection<T>(bounds: CallBounds, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const { signal } = bounds;
    let client: pg.PoolClient | undefined;
    let interrupted = false;
    let broken = false;
    const release = (destroy: boolean): void => {
      client?.release(destroy);
      client = undefined;
    };
    const onAbort = (): void => {
      interrupted = true;
      release(true);
    };
    try {
      signal?.throwIfAborted();
      const lent = await this.#acquire(signal);
      client = lent;
      signal?.addEventListener("abort", onAbort, { once: true });
      await this.#limitStatements(lent, statementTimeoutMs(bounds));
      const result = await work(lent);
      this.#reached();
      return result;
    } catch (error) {
      if (interrupted || signal?.aborted === true) throw interruption(signal?.reason, error);
      if (isConnectionLoss(error)) {
        broken = true;
        this.#lost(error);
      }
      throw fromPostgresError(error);
    } finally {
      signal?.removeEventListener("abort", onAbort);
      release(broken);
    }
  }

  /** Waits for a connection no longer than the signal allows; one that comes too late goes back unused. */
  #acquire(signal: AbortSignal | undefined): Promise<pg.PoolClient> {
    const waiting = this.#pool.connect();
    if (signal === undefined) return waiting;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        reject(signal.reason);
        waiting.then(
          (late) => late.release(),
          () => {
            // Nobody waits for it any more.
          },
        );
      };
      signal.addEventListener("abort", onAbort, { once: true });
      waiting
        .then((client) => (signal.aborted ? undefined : resolve(client)), reject)
        .finally(() => signal.removeEventListener("abort", onAbort));
    });
  }

  async #limitStatements(client: pg.PoolClient, timeoutMs: number): Promise<void> {
    if ((this.#timeouts.get(client) ?? longestStatementMs) === timeoutMs) return;
    await client.query(`SET statement_timeout = ${timeoutMs}`);
    this.#timeouts.set(client, timeoutMs);
  }

  #reached(): void {
    if (this.#state.value.t === "up") return;
    this.#logger.info("database reached");
    this.#state.set({ t: "up" });
  }

  #lost(error: unknown): void {
    const reason = reasonOf(error);
    if (this.#state.value.t !== "down" || this.#state.value.reason !== reason) {
      this.#logger.warn("database cannot be reached: trying again", { reason });
      this.#state.set({ t: "down", reason });
    }
    this.#reach();
  }

  /** Tries until the database answers. Only one such task at a time. */
  #reach(): void {
    if (this.#reaching || this.#scope.signal.aborted) return;
    this.#reaching = true;
    this.#scope.spawn(async (signal) => {
      const backoff = createBackoff(reconnect, this.#random);
      try {
        for (;;) {
          try {
            await this.query("SELECT 1", [], { signal });
            return;
          } catch (error) {
            if (signal.aborted) return;
            // A refused password or a missing database is as good a reason to wait and say so.
            const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
            this.#lost(cause);
          }
          await sleep(backoff.nextMs(), { clock: this.#clock, signal });
        }
      } finally {
        this.#reaching = false;
      }
    });
  }
}

async function inTransaction<T>(
  client: pg.PoolClient,
  begin: string,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  let open = true;
  const tx: Transaction = {
    inTransaction: true,
    async query(sql, values = []) {
      if (!open) throw new Error("store: a transaction was used after its end");
      try {
        return rowsOf(await run(client, sql, values));
      } catch (error) {
        throw fromPostgresError(error);
      }
    },
  };
  await client.query(begin);
  let result: T;
  try {
    result = await work(tx);
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {
      // The connection is gone, and the transaction with it; the first error says why.
    });
    throw error;
  } finally {
    open = false;
  }
  let answer: string;
  try {
    answer = (await client.query("COMMIT")).command;
  } catch (error) {
    throw isConnectionLoss(error) ? new CommitOutcomeUnknown(error) : error;
  }
  // Postgres answers the commit of a failed transaction with ROLLBACK, and no error.
  if (answer !== "COMMIT")
    throw new Error("store: a failed statement was ignored inside a transaction: nothing was committed");
  return result;
}

function run(client: pg.PoolClient, sql: string | NamedStatement, values: readonly unknown[]): Promise<pg.QueryResult> {
  return typeof sql === "string" ? client.query(sql, [...values]) : client.query({ ...sql, values: [...values] });
}

function rowsOf(result: pg.QueryResult): readonly Row[] {
  return result.rows;
}

/** Several addresses that all refuse make an error without a message, but with a code. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message !== "") return error.message;
  return "code" in error ? String(error.code) : error.name;
}

/** Why the caller gave up; what that did to the work under way stays as the cause, an unknown commit above all. */
function interruption(reason: unknown, cause: unknown): ConnectError {
  const { rawMessage, code } = fromPostgresError(reason);
  return new ConnectError(rawMessage, code, undefined, undefined, cause);
}
