import { randomBytes } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureOwnDatabase } from "@weft/store";
import { removeEmbeddedPostgres, startEmbeddedPostgres } from "@weft/store/embedded";
import pg from "pg";

/** A database of the bench, with a connection of the harness. */
export interface BenchDatabase {
  readonly url: string;
  readonly client: pg.Client;
}

/** One server with fsync on, for all that is measured. */
export interface BenchServer extends AsyncDisposable {
  /** Postgres' own word on what is given to the disk at a commit. */
  readonly durability: string;
  database(name: string): Promise<BenchDatabase>;
  /** Begins a round on equal terms: nothing left to write from the one before. */
  settle(): Promise<void>;
  /** Flushes of the write-ahead log so far. */
  flushes(): Promise<number>;
}

/** Starts the server on the disk that holds the system's temporary folder. */
export async function startBenchServer(): Promise<BenchServer> {
  const directory = mkdtempSync(join(tmpdir(), "weft-bench-pg-"));
  const server = await startEmbeddedPostgres({ directory });
  const clients: pg.Client[] = [];
  const connect = async (url: string): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: url });
    clients.push(client);
    await client.connect();
    return client;
  };
  const admin = await connect(server.url);
  const setting = async (name: string): Promise<string> => textOf(await admin.query(`SHOW ${name}`), name);
  return {
    durability: `fsync ${await setting("fsync")}, synchronous_commit ${await setting("synchronous_commit")}`,
    async database(name) {
      const url = await ensureOwnDatabase({ adminUrl: server.url, name, password: randomBytes(12).toString("hex") });
      return { url, client: await connect(url) };
    },
    async settle() {
      await admin.query("CHECKPOINT");
    },
    async flushes() {
      const result = await admin.query(
        "SELECT coalesce(sum(fsyncs), 0)::text AS flushes FROM pg_stat_io WHERE object = 'wal'",
      );
      return Number(textOf(result, "flushes"));
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) await client.end();
      await server.stop();
      await removeEmbeddedPostgres(directory);
    },
  };
}

/** The one value of a result. */
export function textOf(result: pg.QueryResult, column: string): string {
  const row: unknown = result.rows[0];
  const value = row !== null && typeof row === "object" ? Reflect.get(row, column) : undefined;
  return String(value);
}
