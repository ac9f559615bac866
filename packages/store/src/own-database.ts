import { randomBytes } from "node:crypto";
import pg from "pg";

const passwordBytes = 24;
const dataKeyBytes = 32;
/** Held while roles and databases are made: two that make the same at once would each find it missing. */
const makingLock = 7_390_411;

/** What the Secret `<name>-database` of a service holds. */
export interface DatabaseSecret {
  /** The service's connection URL, with its password. */
  readonly url: string;
  /** The service's data key: 32 bytes in base64. */
  readonly "data-key": string;
}

/** A Secret with a random password and data key for a service whose database is on this server. Nothing is made there yet. */
export function newDatabaseSecret(options: {
  /** `host:port` by which the service reaches the server. */
  readonly server: string;
  /** The name of both role and database. */
  readonly name: string;
}): DatabaseSecret {
  const password = randomPassword();
  return {
    url: `postgres://${options.name}:${password}@${options.server}/${options.name}`,
    "data-key": randomBytes(dataKeyBytes).toString("base64"),
  };
}

/** A password that no URL has to escape. */
export function randomPassword(): string {
  return randomBytes(passwordBytes).toString("base64url");
}

/**
 * Makes sure that a service has a database of its own: role `name` with this password, database `name` that it owns, and
 * nobody else let in; nor is the role let into the server's own databases. What exists is kept; the password is set anew. Many may do it at once.
 * Gives the service's connection URL, a secret.
 */
export async function ensureOwnDatabase(options: {
  /** The superuser's URL. */
  readonly adminUrl: string;
  /** The name of both role and database: lower-case letters, digits, dashes and underscores. */
  readonly name: string;
  readonly password: string;
}): Promise<string> {
  const { adminUrl, name, password } = options;
  if (!/^[a-z][a-z0-9_-]{0,62}$/.test(name))
    throw new TypeError(`database name ${JSON.stringify(name)}: lower-case letters, digits, - and _ only`);
  const client = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: 10_000 });
  // A break shows as the failure of the query under way.
  client.on("error", () => {});
  await client.connect();
  try {
    // Of this session; it goes with the connection.
    await client.query("SELECT pg_advisory_lock($1)", [makingLock]);
    const identifier = client.escapeIdentifier(name);
    const verb = (await exists(client, "SELECT 1 FROM pg_roles WHERE rolname = $1", name)) ? "ALTER" : "CREATE";
    await client.query(
      `${verb} ROLE ${identifier} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD ${client.escapeLiteral(password)}`,
    );
    if (!(await exists(client, "SELECT 1 FROM pg_database WHERE datname = $1", name))) {
      await client.query(`CREATE DATABASE ${identifier} OWNER ${identifier}`);
    }
    await client.query(`REVOKE ALL ON DATABASE ${identifier} FROM PUBLIC`);
    for (const shared of ["postgres", "template1"]) {
      if (await exists(client, "SELECT 1 FROM pg_database WHERE datname = $1", shared))
        await client.query(`REVOKE CONNECT ON DATABASE ${client.escapeIdentifier(shared)} FROM PUBLIC`);
    }
  } finally {
    await client.end();
  }
  const url = new URL(adminUrl);
  url.username = name;
  url.password = encodeURIComponent(password);
  url.pathname = `/${name}`;
  return url.href;
}

async function exists(client: pg.Client, sql: string, name: string): Promise<boolean> {
  return ((await client.query(sql, [name])).rowCount ?? 0) > 0;
}
