import { setMaxListeners } from "node:events";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { Scope, sleep } from "@weft/foundation";
import { createDatabase, createNotifications, migrate } from "@weft/store";
import { startTestDatabase, startTestPostgres } from "@weft/store/testing";
import { expect, test } from "vitest";
import { saga } from "../definition/saga.js";
import { sagaMigration } from "../rows/migration.js";
import { sagaChannel } from "../rows/saga-rows.js";
import { createSagas } from "./create-sagas.js";

test("the database restarted in the middle of 200 sagas: all end right, callers see UNAVAILABLE and may try again", async () => {
  await using server = await startTestPostgres();
  await using home = await startTestDatabase({ server });
  await using scope = new Scope();
  const database = scope.use(createDatabase({ url: home.url }));
  const notifications = scope.use(createNotifications({ url: home.url, channel: sagaChannel }));
  await migrate(database, [sagaMigration]);
  const effects = new Map<string, number>();
  const step = (name: string) => ({
    run: async ({ key, signal }: { readonly key: string; readonly signal: AbortSignal }) => {
      effects.set(key, (effects.get(key) ?? 0) + (effects.has(key) ? 0 : 1));
      await sleep(20 + ((name.length * 7 + effects.size) % 30), { signal });
    },
    policy: { timeoutMs: 20_000 },
  });
  const definition = saga("restart", { version: 1, input: StringValueSchema })
    .step("reserve", { ...step("reserve"), compensate: async () => {} })
    .pivot("capture", step("capture"))
    .step("label", step("label"));
  const workers = [0, 1].map(() => createSagas({ database, notifications, definitions: [definition], leaseMs: 1_500 }));
  for (const worker of workers) scope.spawn((signal) => worker.work(signal));
  const codes = new Set<Code>();
  const signal = AbortSignal.timeout(100_000);
  setMaxListeners(0, signal);
  const order = async (at: number): Promise<string> => {
    for (;;) {
      try {
        const sagas = workers[at % 2];
        if (sagas === undefined) throw new Error("no worker");
        await sagas.start(definition, { id: `restart-${at}`, input: {} });
        return (await sagas.outcome(definition, `restart-${at}`, { signal })).t;
      } catch (error) {
        codes.add(ConnectError.from(error).code);
        await sleep(100, { signal });
      }
    }
  };
  const orders = Array.from({ length: 200 }, async (_, at) => {
    await sleep(at * 5, { signal });
    return order(at);
  });
  await sleep(300, { signal });
  await server.stop();
  await sleep(500, { signal });
  await server.start();
  const ends = await Promise.all(orders);
  expect(new Set(ends)).toEqual(new Set(["completed"]));
  expect([...codes].filter((code) => code !== Code.Unavailable)).toEqual([]);
  expect(effects.size).toBe(600);
}, 180_000);
