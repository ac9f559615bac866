import { randomBytes } from "node:crypto";
import pg from "pg";
import { ensureOwnDatabase } from "../own-database.js";
import { startTestPostgres, type TestPostgres } from "./test-postgres.js";

/** A fresh, empty database with a role of its own. Disposing drops it. */
export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
}

// One server a process, for all its tests: kept here since tests of different files know nothing of each other.
// It goes when the process goes.
let shared: Promise<TestPostgres> | undefined;

/** Makes a database on the server that the tests of this process share, or on the given one. */
export async function startTestDatabase(options: { readonly server?: TestPostgres } = {}): Promise<TestDatabase> {
  const server = options.server ?? (await sharedServer());
  const name = `test_${randomBytes(6).toString("hex")}`;
  const url = await ensureOwnDatabase({ adminUrl: server.url, name, password: randomBytes(12).toString("hex") });
  return {
    url,
    async [Symbol.asyncDispose]() {
      const client = new pg.Client({ connectionString: server.url });
      client.on("error", () => {});
      await client.connect();
      try {
        await client.query(`DROP DATABASE ${client.escapeIdentifier(name)} WITH (FORCE)`);
        await client.query(`DROP ROLE ${client.escapeIdentifier(name)}`);
      } finally {
        await client.end();
      }
    },
  };
}

function sharedServer(): Promise<TestPostgres> {
  shared ??= startTestPostgres();
  return shared;
}
