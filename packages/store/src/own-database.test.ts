import pg from "pg";
import { expect, test } from "vitest";
import { ensureOwnDatabase, newDatabaseSecret } from "./own-database.js";
import { startTestPostgres } from "./testing/index.js";

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

test("each service gets a database that only it can enter, and enters no other", async () => {
  await using server = await startTestPostgres();
  const orders = await ensureOwnDatabase({ adminUrl: server.url, name: "orders", password: "o/1" });
  const catalog = await ensureOwnDatabase({ adminUrl: server.url, name: "catalog", password: "c" });
  await query(orders, "CREATE TABLE mine (n int)");
  for (const other of ["orders", "postgres", "template1"]) {
    await expect(query(catalog.replace(/\/catalog$/, `/${other}`), "SELECT 1")).rejects.toMatchObject({
      code: "42501",
    });
  }
  const again = await ensureOwnDatabase({ adminUrl: server.url, name: "orders", password: "o2" });
  expect(await query(again, "SELECT count(*)::int AS n FROM mine")).toEqual([{ n: 0 }]);
});

test("a role may make no roles and no databases", async () => {
  await using server = await startTestPostgres();
  const url = await ensureOwnDatabase({ adminUrl: server.url, name: "orders", password: "o" });
  expect(
    await query(
      url,
      "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = current_user",
    ),
  ).toEqual([
    { rolsuper: false, rolcreatedb: false, rolcreaterole: false, rolreplication: false, rolbypassrls: false },
  ]);
});

test("many that make the same database at once all succeed", async () => {
  await using server = await startTestPostgres();
  const urls = await Promise.all(
    Array.from({ length: 8 }, () => ensureOwnDatabase({ adminUrl: server.url, name: "orders", password: "same" })),
  );
  expect(new Set(urls).size).toBe(1);
  expect(await query(urls[0] ?? "", "SELECT current_database() AS name")).toEqual([{ name: "orders" }]);
});

test("a new Secret has a URL of its role alone, a password and a key of its own", () => {
  const one = newDatabaseSecret({ server: "postgres.shop:5432", name: "orders" });
  const other = newDatabaseSecret({ server: "postgres.shop:5432", name: "orders" });
  expect(new URL(one.url)).toMatchObject({ username: "orders", host: "postgres.shop:5432", pathname: "/orders" });
  expect(new URL(one.url).password).toHaveLength(32);
  expect(Buffer.from(one["data-key"], "base64")).toHaveLength(32);
  expect(one.url).not.toBe(other.url);
  expect(one["data-key"]).not.toBe(other["data-key"]);
});
