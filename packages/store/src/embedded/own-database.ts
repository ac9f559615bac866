import pg from "pg";

/**
 * Makes sure that a service has a database of its own: role `name` with this password, database `name` that it owns, and
 * nobody else let in. What exists is kept; the password is set anew. Gives the service's connection URL, a secret.
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
    const identifier = client.escapeIdentifier(name);
    const verb = (await exists(client, "SELECT 1 FROM pg_roles WHERE rolname = $1", name)) ? "ALTER" : "CREATE";
    await client.query(`${verb} ROLE ${identifier} LOGIN NOSUPERUSER PASSWORD ${client.escapeLiteral(password)}`);
    if (!(await exists(client, "SELECT 1 FROM pg_database WHERE datname = $1", name))) {
      await client.query(`CREATE DATABASE ${identifier} OWNER ${identifier}`);
    }
    await client.query(`REVOKE ALL ON DATABASE ${identifier} FROM PUBLIC`);
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
