import { type DescMessage, type DescMethodUnary, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Clock, type Logger, silentLogger, sleep, systemClock } from "@weft/foundation";
import type { CallBounds } from "../call-bounds.js";
import { column, type Row } from "../columns.js";
import type { Database, Queries, Transaction } from "../database.js";
import type { Migration } from "../migrations.js";
import { sqlState } from "../postgres-errors.js";
import type { DataKey } from "./data-key.js";
import { holdsSensitive } from "./sensitive-messages.js";

/** The table of remembered requests: put it among the service's migrations. */
export const idempotencyMigration: Migration = {
  name: "weft-idempotency-1",
  sql: `
    CREATE TABLE weft_idempotency (
      principal text NOT NULL,
      method text NOT NULL,
      key text NOT NULL,
      request_hash bytea NOT NULL,
      reply bytea,
      sealed boolean NOT NULL DEFAULT false,
      expires_at timestamptz NOT NULL,
      PRIMARY KEY (principal, method, key)
    );
    CREATE INDEX weft_idempotency_expiry ON weft_idempotency (expires_at);
  `,
};

/** A request that may come more than once. */
export interface IdempotentCall<I extends DescMessage, O extends DescMessage> {
  readonly method: DescMethodUnary<I, O>;
  /** Who asks: keys of different callers never meet. */
  readonly principal: string;
  readonly request: MessageShape<I> & { readonly idempotencyKey: string };
  readonly bounds?: CallBounds;
}

/** Exactly one effect for each (principal, method, key), however often and from wherever it is asked for. */
export interface Idempotency {
  /**
   * Runs `effect` in a transaction and remembers its reply in that same transaction, or replays the reply that is remembered.
   * An effect that throws leaves nothing behind: the key is free. It may be run again after a serialization failure.
   *
   * INVALID_ARGUMENT: the key is empty or too long. ALREADY_EXISTS: the key was used for another request.
   * ABORTED: an equal request is still in flight after `waitMs`.
   */
  run<I extends DescMessage, O extends DescMessage>(
    call: IdempotentCall<I, O>,
    effect: (tx: Transaction) => Promise<MessageShape<O>>,
  ): Promise<MessageShape<O>>;
  /**
   * The reply that is remembered of a call, if any; errors as of {@link Idempotency.run}. For an effect that does not fit into one transaction
   * and is done once by other means: ask before it, and `run` after it.
   */
  recall<I extends DescMessage, O extends DescMessage>(
    call: IdempotentCall<I, O>,
  ): Promise<MessageShape<O> | undefined>;
  /** Forgets a request, in the transaction that undoes its effect: its key is free again. */
  forget(
    tx: Transaction,
    call: { readonly method: DescMethodUnary; readonly principal: string; readonly key: string },
  ): Promise<void>;
  /** Removes what has expired, in small batches; gives how many rows. */
  prune(bounds?: CallBounds): Promise<number>;
  /** Prunes now and then until the signal aborts: run it in the service's scope. */
  keepPruned(signal: AbortSignal): Promise<void>;
}

export interface IdempotencyOptions {
  readonly database: Database;
  readonly dataKey: DataKey;
  /** How long to wait for an equal request that is under way. Default 5 s. */
  readonly waitMs?: number;
  /** How long replies are remembered. Default 24 h. */
  readonly keepMs?: number;
  readonly pruneEveryMs?: number;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

const longestKey = 128;
const pruneBatch = 1_000;

/** Makes the memory of a service's changing methods, on a database that has {@link idempotencyMigration}. */
export function createIdempotency(options: IdempotencyOptions): Idempotency {
  const { database, dataKey, waitMs = 5_000, keepMs = 24 * 3_600_000, pruneEveryMs = 10 * 60_000 } = options;
  const { clock = systemClock, logger = silentLogger } = options;
  /** Equal requests in this process wait here, not each on a database connection of its own. */
  const inFlight = new Map<string, { readonly hash: Uint8Array; readonly reply: Promise<unknown> }>();

  const once = async <I extends DescMessage, O extends DescMessage>(
    call: IdempotentCall<I, O>,
    place: Place,
    hash: Uint8Array,
    effect: (tx: Transaction) => Promise<MessageShape<O>>,
  ): Promise<MessageShape<O>> => {
    const output = call.method.output;
    return database.transaction(
      async (tx) => {
        if (!(await claim(tx, place, hash, keepMs))) return replay(tx, place, hash, output, dataKey);
        const reply = await effect(tx);
        const bytes = toBinary(output, reply);
        const sealed = holdsSensitive(output);
        await tx.query(
          "UPDATE weft_idempotency SET reply = $4, sealed = $5 WHERE principal = $1 AND method = $2 AND key = $3",
          [...columnsOf(place), sealed ? dataKey.seal(nameOf(place), bytes) : bytes, sealed],
        );
        return reply;
      },
      { lockTimeoutMs: Math.max(1, waitMs), ...(call.bounds === undefined ? {} : { bounds: call.bounds }) },
    );
  };

  const prune = async (bounds: CallBounds = {}): Promise<number> => {
    let total = 0;
    for (;;) {
      const rows = await database.query(
        `WITH gone AS (
           SELECT ctid FROM weft_idempotency WHERE expires_at <= now() LIMIT ${pruneBatch} FOR UPDATE SKIP LOCKED
         ), removed AS (
           DELETE FROM weft_idempotency USING gone WHERE weft_idempotency.ctid = gone.ctid RETURNING 1
         )
         SELECT count(*)::int AS removed FROM removed`,
        [],
        bounds,
      );
      const removed = rows[0] === undefined ? 0 : column.integer(rows[0], "removed");
      total += removed;
      if (removed < pruneBatch) return total;
    }
  };

  /** Where a call is remembered, and what tells its request from others. */
  const placeOf = <I extends DescMessage, O extends DescMessage>(call: IdempotentCall<I, O>) => {
    const key = call.request.idempotencyKey;
    if (key === "" || key.length > longestKey) {
      throw new ConnectError(
        `idempotency_key ${JSON.stringify(key.slice(0, longestKey))}: must be 1 to ${longestKey} characters`,
        Code.InvalidArgument,
      );
    }
    const place: Place = { principal: call.principal, method: fullName(call.method), key };
    const name = nameOf(place);
    return { place, name, hash: dataKey.hash(name, toBinary(call.method.input, call.request)) };
  };

  return {
    async recall(call) {
      const { place, hash } = placeOf(call);
      const rows = await database.query(
        `SELECT request_hash, reply, sealed FROM weft_idempotency
         WHERE principal = $1 AND method = $2 AND key = $3 AND expires_at > now()`,
        columnsOf(place),
        call.bounds,
      );
      return rows[0] === undefined ? undefined : readReply(rows[0], place, hash, call.method.output, dataKey);
    },

    async run(call, effect) {
      const key = call.request.idempotencyKey;
      const { place, name, hash } = placeOf(call);
      const untilMs = clock.nowMs() + waitMs;
      for (let other = inFlight.get(name); other !== undefined; other = inFlight.get(name)) {
        const reply = await settled(other.reply, untilMs - clock.nowMs(), clock, call.bounds?.signal);
        if (reply.t === "pending") throw stillInFlight(key);
        // What a call of this process has just been answered is what the table would replay.
        if (reply.t === "value" && equal(other.hash, hash)) return fromSharedReply(call.method.output, reply.value);
        // The other failed, and the key is free; or it was another request: the table knows.
        if (reply.t === "value") break;
      }
      const running = once(call, place, hash, effect);
      const entry = { hash, reply: running };
      inFlight.set(name, entry);
      try {
        return await running;
      } finally {
        if (inFlight.get(name) === entry) inFlight.delete(name);
      }
    },

    async forget(tx, { method, principal, key }) {
      await tx.query("DELETE FROM weft_idempotency WHERE principal = $1 AND method = $2 AND key = $3", [
        principal,
        fullName(method),
        key,
      ]);
    },

    prune,

    async keepPruned(signal) {
      while (!signal.aborted) {
        try {
          await prune({ signal });
        } catch (error) {
          // The rows do no harm but take room: the next round takes them.
          if (!signal.aborted) logger.warn("expired idempotency keys could not be pruned", { error });
        }
        await sleep(pruneEveryMs, { clock, signal }).catch(() => {
          // Aborted: the loop's condition ends it.
        });
      }
    },
  };
}

interface Place {
  readonly principal: string;
  readonly method: string;
  readonly key: string;
}

/**
 * Takes the key for this transaction; false when a live row has it already. An insert of the same key in a transaction that is not over
 * makes this one wait: when that commits, its row is seen; when it rolls back, the key is ours.
 */
async function claim(tx: Transaction, place: Place, hash: Uint8Array, keepMs: number): Promise<boolean> {
  try {
    const rows = await tx.query(
      `INSERT INTO weft_idempotency AS known (principal, method, key, request_hash, expires_at)
       VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))
       ON CONFLICT (principal, method, key) DO UPDATE
         SET request_hash = excluded.request_hash, reply = NULL, sealed = false, expires_at = excluded.expires_at
         WHERE known.expires_at <= now()
       RETURNING 1 AS claimed`,
      [...columnsOf(place), hash, keepMs / 1_000],
    );
    return rows.length > 0;
  } catch (error) {
    throw sqlState(error) === "55P03" ? stillInFlight(place.key) : error;
  }
}

async function replay<O extends DescMessage>(
  queries: Queries,
  place: Place,
  hash: Uint8Array,
  output: O,
  dataKey: DataKey,
): Promise<MessageShape<O>> {
  const [row] = await queries.query(
    "SELECT request_hash, reply, sealed FROM weft_idempotency WHERE principal = $1 AND method = $2 AND key = $3",
    columnsOf(place),
  );
  // It expired and was pruned, or was forgotten, between the two statements.
  if (row === undefined) throw stillInFlight(place.key);
  return readReply(row, place, hash, output, dataKey);
}

/** The reply in a row of the table; ALREADY_EXISTS when the row is of another request. */
function readReply<O extends DescMessage>(
  row: Row,
  place: Place,
  hash: Uint8Array,
  output: O,
  dataKey: DataKey,
): MessageShape<O> {
  if (!equal(column.bytes(row, "request_hash"), hash)) {
    throw new ConnectError(
      `idempotency_key ${JSON.stringify(place.key)}: used already for another request`,
      Code.AlreadyExists,
    );
  }
  const stored = column.bytes(row, "reply");
  if (!column.boolean(row, "sealed")) return fromBinary(output, stored);
  const opened = dataKey.open(nameOf(place), stored);
  if (!opened.ok) throw new Error(`idempotency: reply of ${place.method}: ${opened.error}`);
  return fromBinary(output, opened.value);
}

function stillInFlight(key: string): ConnectError {
  return new ConnectError(`idempotency_key ${JSON.stringify(key)}: an equal request is still in flight`, Code.Aborted);
}

function fullName(method: DescMethodUnary): string {
  return `${method.parent.typeName}/${method.name}`;
}

function nameOf(place: Place): string {
  return JSON.stringify(columnsOf(place));
}

function columnsOf(place: Place): [principal: string, method: string, key: string] {
  return [place.principal, place.method, place.key];
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

type Settled = { readonly t: "value"; readonly value: unknown } | { readonly t: "failed" } | { readonly t: "pending" };

/** How a promise ended, or that it had not within the time. */
async function settled(
  promise: Promise<unknown>,
  withinMs: number,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<Settled> {
  const stop = new AbortController();
  const onAbort = (): void => stop.abort(signal?.reason);
  if (signal?.aborted === true) throw ConnectError.from(signal.reason, Code.Canceled);
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race<Settled>([
      promise.then(
        (value) => ({ t: "value", value }),
        () => ({ t: "failed" }),
      ),
      sleep(Math.max(0, withinMs), { clock, signal: stop.signal }).then(() => ({ t: "pending" })),
    ]);
  } finally {
    signal?.removeEventListener("abort", onAbort);
    stop.abort();
  }
}

/** The reply of an equal call: same method, so same type. */
function fromSharedReply<O extends DescMessage>(_output: O, value: unknown): MessageShape<O> {
  return value as MessageShape<O>;
}
