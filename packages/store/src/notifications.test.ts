import { eventually } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { createDatabase, createNotifications } from "./index.js";
import { startTestDatabase, startTestPostgres } from "./testing/index.js";

test("a notification wakes whoever waits for its payload, and a reconnection wakes all", async () => {
  await using server = await startTestPostgres();
  await using home = await startTestDatabase({ server });
  await using database = createDatabase({ url: home.url });
  await using notifications = createNotifications({ url: home.url, channel: "orders" });
  const woken = { a: 0, b: 0 };
  using _a = notifications.subscribe("a", () => woken.a++);
  using _b = notifications.subscribe("b", () => woken.b++);
  // The first connection wakes both.
  await eventually(() => woken.a === 1 && woken.b === 1, { ceilingMs: 20_000 });
  await database.transaction((tx) => tx.query("SELECT pg_notify('orders', 'a')"));
  await eventually(() => woken.a === 2 && woken.b === 1, { ceilingMs: 20_000 });
  expect(woken).toEqual({ a: 2, b: 1 });
  await server.stop();
  await server.start();
  await eventually(() => woken.a === 3 && woken.b === 2, { ceilingMs: 20_000 });
});
