import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient } from "@connectrpc/connect";
import type { Chassis } from "@weft/chassis";
import { startService } from "@weft/chassis/testing";
import { OrderService } from "@weft/contracts/shop/orders/v1";
import { eventually } from "@weft/foundation/testing";
import { runInCallScope } from "@weft/mesh";
import { startTestDatabase, startTestPostgres } from "@weft/store/testing";
import { expect, test } from "vitest";
import { type OrdersConfig, ordersConfig } from "./config.js";
import { wire } from "./wire.js";

test("orders serves its own caller over the mesh, says why it is not ready while its database is away, and recovers by itself", async () => {
  const snapshots = mkdtempSync(join(tmpdir(), "weft-orders-"));
  await using server = await startTestPostgres();
  await using home = await startTestDatabase({ server });
  const env = {
    DATABASE_URL: home.url,
    WEFT_DATA_KEY: Buffer.alloc(32, 7).toString("base64"),
    WEFT_SNAPSHOT_DIR: snapshots,
    // Nobody listens there: what is asked for below needs no control plane.
    WEFT_CONTROL_PLANE: "127.0.0.1:1",
  };
  let orders: Client<typeof OrderService> | undefined;
  const wireWithClient = async (chassis: Chassis<OrdersConfig>): Promise<void> => {
    const served = { port: 0 };
    const serve: typeof chassis.serve = async (routes, options) => {
      const handle = await chassis.serve(routes, options);
      served.port = handle.port;
      return handle;
    };
    await wire({ ...chassis, serve });
    orders = createClient(OrderService, (await chassis.mesh()).to(`dns:///127.0.0.1:${served.port}`));
  };
  await using service = await startService({ config: ordersConfig, wire: wireWithClient, env });
  const list = (): Promise<number | undefined> => {
    const scope = { deadline: undefined, signal: AbortSignal.timeout(20_000), user: "ann" };
    return runInCallScope(scope, async () => (await orders?.listOrders({}))?.orders.length);
  };
  const readiness = async (): Promise<string> => (await fetch(`${service.adminUrl}/readyz`)).text();

  expect(await list()).toBe(0);
  expect(await readiness()).not.toContain("database");
  await server.stop();
  await expect(list()).rejects.toThrow(/^\[unavailable\]/);
  await eventually(async () => /"database".*cannot be reached/s.test(await readiness()), { ceilingMs: 20_000 });
  await server.start();
  await eventually(async () => !(await readiness()).includes("database"), { ceilingMs: 60_000 });
  expect(await list()).toBe(0);
  expect(service.lines.join("\n")).not.toContain(new URL(home.url).password);
  rmSync(snapshots, { recursive: true, force: true });
});

test("every wrong variable is named at once, and no secret is shown", () => {
  const config = ordersConfig.parse({
    DATABASE_URL: "mysql://user:hunter2@db",
    WEFT_DATA_KEY: "hunter2",
    WEFT_PORT: "x",
  });
  const text = config.ok ? "" : config.error.text;
  for (const name of ["DATABASE_URL", "WEFT_DATA_KEY", "WEFT_PORT"])
    expect(text).toMatch(new RegExp(`^ {2}${name}=`, "m"));
  expect(text).not.toContain("hunter2");
});
