import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, WatchSource } from "@weft/foundation";
import { eventually } from "@weft/foundation/testing";
import { createKubeClient, kinds } from "@weft/kube";
import { startTestPostgres } from "@weft/store/testing";
import { expect, test } from "vitest";
import { createLaptopApi } from "../api/index.js";
import { startInformers } from "../supervisor/informers.js";
import { startDatabases } from "./databases.js";

const namespace = "default";

test("a database's Secret that is deleted comes back as it was: Pods run on it, and rows are encrypted under its key", async () => {
  const directory = mkdtempSync(join(tmpdir(), "weft-databases-"));
  try {
    await using server = await startTestPostgres();
    const none = () => Promise.reject(new Error("no Pod runs here"));
    await using api = await createLaptopApi({
      ...{ directory, host: "127.0.0.1", port: 0, logger: silentLogger },
      podAccess: { logs: none, connect: none },
    });
    await using client = createKubeClient(api.admin);
    const container = { name: "main", image: "example.test/thing:dev" };
    await client.create(kinds.service, {
      metadata: { name: "postgres", namespace },
      spec: { selector: { app: "postgres" }, ports: [{ port: 5432 }] },
    });
    await client.create(kinds.pod, {
      metadata: { name: "postgres-1", namespace, labels: { app: "postgres" } },
      spec: { containers: [container] },
    });
    const status = { podIP: new URL(server.url).hostname };
    await client.patch(
      kinds.pod,
      { name: "postgres-1", namespace },
      { t: "merge", body: { status } },
      { subresource: "status" },
    );
    const env = [{ name: "DATABASE_URL", valueFrom: { secretKeyRef: { name: "things-database", key: "url" } } }];
    await client.create(kinds.pod, {
      metadata: { name: "things-1", namespace },
      spec: { containers: [{ ...container, env }] },
    });
    const signal = AbortSignal.timeout(60_000);
    await using informers = await startInformers({ client, logger: silentLogger, signal });
    await using _databases = startDatabases({
      client,
      ...informers,
      adminUrl: new WatchSource<string | undefined>(server.url),
      logger: silentLogger,
    });
    const secret = { name: "things-database", namespace };
    const read = () => client.get(kinds.secret, secret).catch(() => undefined);
    await eventually(async () => (await read())?.data !== undefined, { ceilingMs: 20_000 });
    const first = await read();
    expect(first?.data?.["data-key"]).toBeDefined();
    await client.delete(kinds.secret, secret);
    await eventually(async () => ((await read())?.metadata.uid ?? first?.metadata.uid) !== first?.metadata.uid, {
      ceilingMs: 20_000,
    });
    expect((await read())?.data).toEqual(first?.data);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
