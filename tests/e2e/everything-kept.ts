import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { eventually } from "@weft/foundation/testing";
import { kinds } from "@weft/kube";
import pg from "pg";
import { expect } from "vitest";
import { type Laptop, shopClients } from "./laptop.js";
import { podsOf } from "./pods.js";
import { podProcess } from "./processes.js";

/** What every process of the cluster has written. */
export function logsOf(laptop: Laptop): string {
  return [...filesIn(laptop.state)]
    .filter((path) => path.endsWith(".log") || path.includes("/logs/"))
    .map((path) => readFileSync(path, "latin1"))
    .concat(laptop.output())
    .join("\n");
}

/** Every span that the trace store has, as its API shows it; first waits until it has all of this run. */
export async function spansOf(laptop: Laptop): Promise<string> {
  const traceOf = async (): Promise<string> => {
    let traceId = "";
    const shop = shopClients(laptop.gatewayUrl);
    await shop.orders.listOrders({}, { onHeader: (headers) => (traceId = headers.get("weft-trace-id") ?? "") });
    return traceId;
  };
  const last = await traceOf();
  const get = async (path: string): Promise<string> => (await fetch(`${laptop.tracesUrl}${path}`)).text();
  await eventually(async () => /"serviceName":"orders"/.test(await get(`/api/traces/${last}`)), {
    ceilingMs: 60_000,
    everyMs: 500,
    what: "the last trace",
  });
  const services: { readonly data: readonly string[] } = JSON.parse(await get("/api/services"));
  expect(services.data).toEqual(expect.arrayContaining(["gateway", "orders", "payments"]));
  const found = await Promise.all(
    services.data.flatMap((name) => [
      get(`/api/traces?service=${encodeURIComponent(name)}&limit=1500&lookback=1h`),
      get(`/api/services/${encodeURIComponent(name)}/operations`),
    ]),
  );
  return found.join("\n");
}

/** What every process counts. */
export async function metricsOf(laptop: Laptop): Promise<string> {
  const pods = (await laptop.client.list(kinds.pod)).items.filter((pod) => pod.spec?.serviceAccountName !== "postgres");
  const texts = await Promise.all(
    pods.map(async ({ status }) =>
      fetch(`http://${status?.podIP}:9464/metrics`).then(
        (answer) => answer.text(),
        () => "", // Postgres has none.
      ),
    ),
  );
  return texts.join("\n");
}

/** Every row of every table of every database, as text. */
export async function tablesOf(laptop: Laptop): Promise<string> {
  const [pod] = await podsOf(laptop.client, "shop", "postgres");
  const secrets = (await laptop.client.list(kinds.secret, { namespace: "shop" })).items;
  const urls = secrets
    .filter(({ metadata }) => metadata.name.endsWith("-database"))
    .map(({ data }) => Buffer.from(data?.["url"] ?? "", "base64").toString());
  expect(urls.length).toBeGreaterThanOrEqual(6);
  const texts: string[] = [];
  for (const url of urls) {
    const client = new pg.Client({ connectionString: url.replace(/@[^:/]+/, `@${pod?.status?.podIP}`) });
    await client.connect();
    try {
      const names = await client.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
      for (const { tablename } of names.rows) {
        const rows = await client.query(`SELECT whole::text AS line FROM "${tablename}" AS whole`);
        texts.push(String(tablename), ...rows.rows.map(({ line }) => String(line)));
      }
    } finally {
      await client.end();
    }
  }
  return texts.join("\n");
}

function* filesIn(folder: string): Iterable<string> {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) yield join(entry.parentPath, entry.name);
}

/** Folders in which the cluster keeps files: its state, what its Pods have in shared memory (snapshots), and the data of Postgres. */
async function foldersOf(laptop: Laptop): Promise<readonly string[]> {
  const [orders] = await podsOf(laptop.client, "shop", "orders");
  if (orders === undefined) throw new Error("no Pod of orders");
  const shared = /^\/dev\/shm\/weft-[0-9a-f]+/.exec(readlinkSync(`/proc/${podProcess(orders)}/cwd`))?.[0] ?? "";
  const pointers = [...filesIn(laptop.state)].filter((path) => basename(path) === "data-directory");
  const data = pointers.map((path) => readFileSync(path, "utf8").trim());
  return [laptop.state, shared, ...data].filter((folder) => existsSync(folder));
}

/** Files of the cluster that hold one of the texts. */
export async function filesWith(laptop: Laptop, texts: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const folder of await foldersOf(laptop))
    for (const path of filesIn(folder)) {
      try {
        const bytes = readFileSync(path);
        if (texts.some((text) => bytes.includes(text))) found.push(path);
      } catch {
        // Gone meanwhile, as Postgres' temporary files are.
      }
    }
  return found;
}
