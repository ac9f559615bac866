import { createServer } from "node:http";
import { type LogFields, type Logger, systemClock } from "@weft/foundation";
import { createKubeClient, type KubeClient } from "@weft/kube";
import { startTestPostgres, type TestPostgres } from "@weft/store/testing";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { setUpDatabases } from "./set-up-databases.js";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
  await query(postgres.url, "CREATE ROLE postgres LOGIN SUPERUSER PASSWORD 'the old one'");
});
afterAll(() => postgres[Symbol.asyncDispose]());

async function query(url: string, sql: string): Promise<readonly unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

interface SecretsApi extends AsyncDisposable {
  readonly client: KubeClient;
  readonly secrets: Map<string, Record<string, unknown>>;
  value(name: string, key: string): string;
  /** How many of the next requests find no server. */
  away: number;
  /** Runs before a create is judged: the place for a rival. */
  beforeCreate: (name: string) => void;
}

/** As much of the API as the set-up uses: get and create of Secrets in `shop`. */
async function startSecretsApi(): Promise<SecretsApi> {
  const secrets = new Map<string, Record<string, unknown>>();
  const server = createServer((request, response) => {
    const answer = (code: number, body: unknown): void => {
      response.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
    const refuse = (code: number, reason: string): void =>
      answer(code, { kind: "Status", status: "Failure", code, reason, message: reason });
    let text = "";
    request.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    request.on("end", () => {
      if (api.away > 0) {
        api.away -= 1;
        refuse(503, "ServiceUnavailable");
        return;
      }
      if (request.method === "GET") {
        const found = secrets.get(request.url?.split("/").at(-1) ?? "");
        if (found === undefined) refuse(404, "NotFound");
        else answer(200, found);
        return;
      }
      const object = parseObject(text);
      api.beforeCreate(object.metadata.name);
      if (secrets.has(object.metadata.name)) {
        refuse(409, "AlreadyExists");
        return;
      }
      secrets.set(object.metadata.name, object);
      answer(201, object);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const client = createKubeClient({ server: `http://127.0.0.1:${port}` });
  const api: SecretsApi = {
    client,
    secrets,
    away: 0,
    beforeCreate: () => {},
    value: (name, key) => valueIn(secrets.get(name), key),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return api;
}

function parseObject(text: string): Record<string, unknown> & { readonly metadata: { readonly name: string } } {
  return JSON.parse(text) as ReturnType<typeof parseObject>;
}

function valueIn(secret: unknown, key: string): string {
  const data: unknown = Object(secret)["data"];
  return Buffer.from(String(Object(data)[key]), "base64").toString();
}

function secret(name: string, values: Readonly<Record<string, string>>): Record<string, unknown> {
  const data = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, btoa(value)]));
  return { apiVersion: "v1", kind: "Secret", metadata: { name, namespace: "shop" }, type: "Opaque", data };
}

function run(
  api: SecretsApi,
  options: { readonly databases: readonly string[]; readonly server?: string; readonly timeoutMs?: number },
): { readonly done: Promise<void>; readonly lines: string[] } {
  const lines: string[] = [];
  const log = (message: string, fields: LogFields = {}): void =>
    void lines.push(`${message} ${JSON.stringify(fields)}`);
  const logger: Logger = { debug: log, info: log, warn: log, error: log, child: () => logger };
  const done = setUpDatabases({
    client: api.client,
    namespace: "shop",
    server: options.server ?? new URL(postgres.url).host,
    databases: options.databases,
    timeoutMs: options.timeoutMs ?? 20_000,
    clock: systemClock,
    logger,
    signal: AbortSignal.timeout(25_000),
  });
  return { done, lines };
}

/** The server was made under the password of this API's Secret. */
async function serverKnows(api: SecretsApi): Promise<void> {
  api.secrets.set("postgres-superuser", secret("postgres-superuser", { password: "s3cret" }));
  await query(postgres.url, "ALTER ROLE postgres PASSWORD 's3cret'");
}

test("makes a Secret that opens a database of its own for each service, and marks what it made", async () => {
  await using api = await startSecretsApi();
  await serverKnows(api);
  const { done, lines } = run(api, { databases: ["orders", "cart"] });
  await done;
  for (const name of ["orders", "cart"]) {
    expect(await query(api.value(`${name}-database`, "url"), "SELECT current_database() AS name")).toEqual([{ name }]);
    expect(Buffer.from(api.value(`${name}-database`, "data-key"), "base64")).toHaveLength(32);
    expect(api.secrets.get(`${name}-database`)).toMatchObject({
      metadata: { labels: { "app.kubernetes.io/managed-by": "database-setup" } },
    });
    expect(lines.join("\n")).not.toContain(new URL(api.value(`${name}-database`, "url")).password);
  }
});

test("a second run changes no Secret, and a role that was lost comes back under the password of its Secret", async () => {
  await using api = await startSecretsApi();
  await serverKnows(api);
  await run(api, { databases: ["again"] }).done;
  const before = structuredClone([...api.secrets]);
  await query(postgres.url, "DROP DATABASE again WITH (FORCE)");
  await query(postgres.url, "DROP ROLE again");
  await run(api, { databases: ["again"] }).done;
  expect([...api.secrets]).toEqual(before);
  expect(await query(api.value("again-database", "url"), "SELECT 1 AS one")).toEqual([{ one: 1 }]);
});

test("several at once agree on what the first of them made", async () => {
  await using api = await startSecretsApi();
  await serverKnows(api);
  await Promise.all(Array.from({ length: 4 }, () => run(api, { databases: ["race"] }).done));
  expect(await query(api.value("race-database", "url"), "SELECT 1 AS one")).toEqual([{ one: 1 }]);
});

test("a Secret that somebody makes in between is read, not replaced", async () => {
  await using api = await startSecretsApi();
  await serverKnows(api);
  const url = `postgres://between:theirs@${new URL(postgres.url).host}/between`;
  api.beforeCreate = (name) => api.secrets.set(name, secret(name, { url, "data-key": "a2V5" }));
  await run(api, { databases: ["between"] }).done;
  expect(await query(url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
});

test("a Secret that leads to another server is left alone", async () => {
  await using api = await startSecretsApi();
  await serverKnows(api);
  const url = "postgres://elsewhere:x@db.example:5432/elsewhere";
  api.secrets.set("elsewhere-database", secret("elsewhere-database", { url, "data-key": "a2V5" }));
  await run(api, { databases: ["elsewhere"] }).done;
  expect(await query(postgres.url, "SELECT 1 FROM pg_roles WHERE rolname = 'elsewhere'")).toEqual([]);
});

test("waits for an API that is away, and for a server that is not there, and says so once", async () => {
  await using api = await startSecretsApi();
  api.away = 1;
  const { done, lines } = run(api, { databases: ["a"], server: "127.0.0.1:1", timeoutMs: 5_000 });
  await expect(done).rejects.toThrow(/^database a on 127\.0\.0\.1:1: not in 5 s: connect ECONNREFUSED 127\.0\.0\.1:1$/);
  expect(lines.filter((line) => line.startsWith("waiting"))).toEqual([
    'waiting {"for":"Secret shop/postgres-superuser","because":"ServiceUnavailable"}',
    'waiting {"for":"database a on 127.0.0.1:1","because":"connect ECONNREFUSED 127.0.0.1:1"}',
  ]);
});

test("a server made under another password ends it at once, in one line that says what to do", async () => {
  await using api = await startSecretsApi();
  api.secrets.set("postgres-superuser", secret("postgres-superuser", { password: "another" }));
  const { done } = run(api, { databases: ["refused"] });
  await expect(done).rejects.toThrow(
    /^database refused on [^ ]+: the server refuses the superuser's password: its volume was made under another Secret postgres-superuser; .*claim$/,
  );
});

test.each([
  [{ url: "postgres://x:y@z:5432/x" }, 'Secret shop/odd-database has no key "data-key"'],
  [{ "data-key": "a2V5" }, 'Secret shop/odd-database has no key "url"'],
  [{ url: "not one", "data-key": "a2V5" }, 'key "url" of Secret odd-database is not a URL'],
])("a Secret that no service could use is named: %j", async (values, message) => {
  await using api = await startSecretsApi();
  await serverKnows(api);
  api.secrets.set("odd-database", secret("odd-database", values));
  await expect(run(api, { databases: ["odd"] }).done).rejects.toThrow(message);
});
