import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { InventoryService } from "@weft/contracts/shop/inventory/v1";
import { createMesh, runInCallScope } from "@weft/mesh";
import { createGrpcJsTransport } from "@weft/wire";
import { expect, test } from "vitest";
import { defineConfig } from "../config/table.js";
import type { Handlers } from "../handlers.js";
import { type RunningService, startService } from "../testing/start-service.js";
import type { CreateMesh } from "./create-chassis.js";

const config = defineConfig({});
const withoutControlPlane: CreateMesh = ({ logger, clock }) =>
  createMesh({ transport: createGrpcJsTransport(), node: { id: "test-0.test", namespace: "test" }, logger, clock });

interface Running extends AsyncDisposable {
  readonly service: RunningService;
  readonly client: ReturnType<typeof createClient<typeof InventoryService>>;
}

/** A served inventory, and a client that reaches it as a process of the mesh does. */
async function serving(handlers: Partial<Handlers<typeof InventoryService>>): Promise<Running> {
  let port = 0;
  const service = await startService({
    config,
    createMesh: withoutControlPlane,
    wire: async (chassis) => {
      ({ port } = await chassis.serve((router) => router.service(InventoryService, handlers)));
    },
  });
  const mesh = await createMesh({ transport: createGrpcJsTransport(), node: { id: "client.test", namespace: "test" } });
  return {
    service,
    client: createClient(InventoryService, mesh.to(`dns:///127.0.0.1:${port}`)),
    async [Symbol.asyncDispose]() {
      await mesh[Symbol.asyncDispose]();
      await service[Symbol.asyncDispose]();
    },
  };
}

async function failureOf(call: Promise<unknown>): Promise<ConnectError> {
  try {
    await call;
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error("the call did not fail");
}

const asUser = <R>(user: string, work: () => R): R =>
  runInCallScope({ deadline: undefined, signal: new AbortController().signal, user }, work);

test("a handler reads the user of its call; one that needs none is served without", async () => {
  const users: string[] = [];
  await using running = await serving({
    getStock: () => ({}),
    release: (_, context) => {
      users.push(context.user);
      return {};
    },
  });
  await running.client.getStock({});
  await asUser("ada", () => running.client.release({}));
  expect(users).toEqual(["ada"]);
  const failure = await failureOf(running.client.release({}));
  expect(failure.code).toBe(Code.Unauthenticated);
});

test("what a handler throws by mistake is logged with its cause, and INTERNAL to the caller", async () => {
  await using running = await serving({
    getStock: () => {
      throw new TypeError("password of the database is 1234");
    },
  });
  const failure = await failureOf(running.client.getStock({}));
  expect(failure.code).toBe(Code.Internal);
  expect(failure.rawMessage).toBe("internal error");
  expect(running.service.lines.filter((line) => line.includes("password of the database is 1234"))).toHaveLength(1);
});

test("an error meant for the caller arrives with its code, and without a card number", async () => {
  await using running = await serving({
    getStock: () => {
      throw new ConnectError("no product 4111 1111 1111 1111", Code.NotFound);
    },
  });
  const failure = await failureOf(running.client.getStock({}));
  expect(failure.code).toBe(Code.NotFound);
  expect(failure.rawMessage).toBe("no product [card]");
});

test("a call in flight at a planned stop ends well, and new ones are turned away", async () => {
  let arrived = (): void => {};
  let finish = (): void => {};
  const inside = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  await using running = await serving({
    getStock: async () => {
      arrived();
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return {};
    },
  });
  const call = running.client.getStock({});
  await inside;
  running.service.signal("SIGTERM");
  setImmediate(finish);
  await call;
  expect(await running.service.exited).toBe(0);
});
