import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  CommitRequestSchema,
  InventoryService,
  type ReserveRequest,
  ReserveRequestSchema,
  type ReserveResponse,
  ReserveResponseSchema,
} from "@weft/contracts/shop/inventory/v1";
import { expect, test } from "vitest";
import {
  createDatabase,
  createDataKey,
  createIdempotency,
  type Database,
  type Idempotency,
  idempotencyMigration,
  migrate,
  type Transaction,
} from "../index.js";
import { startTestDatabase } from "../testing/index.js";
import { secretMethod, secretReply, secretRequest } from "./secret-method.fixture.js";

const method = InventoryService.method.reserve;

interface Fixture extends AsyncDisposable {
  readonly url: string;
  readonly database: Database;
  readonly idempotency: Idempotency;
  effects(): Promise<number>;
}

async function startFixture(options: { readonly keepMs?: number; readonly waitMs?: number } = {}): Promise<Fixture> {
  const home = await startTestDatabase();
  const database = createDatabase({ url: home.url });
  await migrate(database, [idempotencyMigration, { name: "effects", sql: "CREATE TABLE effects (id serial)" }]);
  return {
    url: home.url,
    database,
    idempotency: replica(database, options),
    effects: async () => (await database.query("SELECT 1 FROM effects")).length,
    async [Symbol.asyncDispose]() {
      await database[Symbol.asyncDispose]();
      await home[Symbol.asyncDispose]();
    },
  };
}

function replica(
  database: Database,
  options: { readonly keepMs?: number; readonly waitMs?: number } = {},
): Idempotency {
  return createIdempotency({ database, dataKey: createDataKey(new Uint8Array(32)), ...options });
}

function request(key: string, quantity = 1): ReserveRequest {
  return create(ReserveRequestSchema, { idempotencyKey: key, lines: [{ productId: "tea", quantity }] });
}

let made = 0;
async function effect(tx: Transaction): Promise<ReserveResponse> {
  await tx.query("INSERT INTO effects DEFAULT VALUES");
  return create(ReserveResponseSchema, { reservation: { reservationId: `r-${++made}` } });
}

async function codeOf(work: Promise<unknown>): Promise<Code | "ok"> {
  return work.then(
    () => "ok" as const,
    (error: unknown) => ConnectError.from(error).code,
  );
}

test("50 equal requests at once on two replicas have one effect and one reply", async () => {
  await using fixture = await startFixture();
  await using otherDatabase = createDatabase({ url: fixture.url });
  const replicas = [fixture.idempotency, replica(otherDatabase)];
  const replies = await Promise.all(
    Array.from({ length: 50 }, (_, n) =>
      replicas[n % 2]?.run({ method, principal: "ann", request: request("k") }, async (tx) => {
        const reply = await effect(tx);
        await tx.query("SELECT pg_sleep(0.1)");
        return reply;
      }),
    ),
  );
  expect(await fixture.effects()).toBe(1);
  expect(new Set(replies.map((reply) => reply?.reservation?.reservationId)).size).toBe(1);
});

test("the key belongs to its caller and method; another request under it is refused", async () => {
  await using fixture = await startFixture();
  const { idempotency } = fixture;
  await idempotency.run({ method, principal: "ann", request: request("k") }, effect);
  const other = { method, principal: "ann", request: request("k", 2) };
  expect(await codeOf(idempotency.run(other, effect))).toBe(Code.AlreadyExists);
  expect(await codeOf(idempotency.run({ ...other, principal: "bob" }, effect))).toBe("ok");
  const commit = InventoryService.method.commit;
  const commitRequest = create(CommitRequestSchema, { idempotencyKey: "k" });
  const committed = idempotency.run({ method: commit, principal: "ann", request: commitRequest }, async () =>
    create(commit.output, {}),
  );
  expect(await codeOf(committed)).toBe("ok");
  expect(await fixture.effects()).toBe(2);
});

test("equal and different requests at once: one effect, and ALREADY_EXISTS for the different ones", async () => {
  await using fixture = await startFixture();
  const codes = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      codeOf(fixture.idempotency.run({ method, principal: "ann", request: request("k", (n % 2) + 1) }, effect)),
    ),
  );
  expect(await fixture.effects()).toBe(1);
  expect(codes.filter((code) => code === "ok")).toHaveLength(10);
  expect(codes.filter((code) => code === Code.AlreadyExists)).toHaveLength(10);
});

test("an effect that fails leaves the key free, for those that waited too", async () => {
  await using fixture = await startFixture();
  let calls = 0;
  const failsOnce = async (tx: Transaction): Promise<ReserveResponse> => {
    const reply = await effect(tx);
    if (++calls === 1) throw new ConnectError("short", Code.FailedPrecondition);
    return reply;
  };
  const codes = await Promise.all(
    Array.from({ length: 3 }, () =>
      codeOf(fixture.idempotency.run({ method, principal: "ann", request: request("k") }, failsOnce)),
    ),
  );
  expect(codes.sort()).toEqual([Code.FailedPrecondition, "ok", "ok"]);
  expect(await fixture.effects()).toBe(1);
});

test("an equal request that is in flight beyond the bound is ABORTED, in this process and from another", async () => {
  await using fixture = await startFixture({ waitMs: 100 });
  await using otherDatabase = createDatabase({ url: fixture.url });
  const call = { method, principal: "ann", request: request("k") };
  let finish = (): void => {};
  let begin = (): void => {};
  const begun = new Promise<void>((done) => (begin = done));
  const slow = fixture.idempotency.run(call, async (tx) => {
    begin();
    await new Promise<void>((done) => (finish = done));
    return effect(tx);
  });
  await begun;
  expect(await codeOf(fixture.idempotency.run(call, effect))).toBe(Code.Aborted);
  expect(await codeOf(replica(otherDatabase, { waitMs: 100 }).run(call, effect))).toBe(Code.Aborted);
  finish();
  await slow;
  expect(await fixture.effects()).toBe(1);
});

test("an expired key is free again, and pruned", async () => {
  await using fixture = await startFixture({ keepMs: 0 });
  const call = { method, principal: "ann", request: request("k") };
  await fixture.idempotency.run(call, effect);
  await fixture.idempotency.run(call, effect);
  expect(await fixture.effects()).toBe(2);
  expect(await fixture.idempotency.prune()).toBe(1);
  expect(await fixture.idempotency.prune()).toBe(0);
});

test("a forgotten key is free again", async () => {
  await using fixture = await startFixture();
  const call = { method, principal: "ann", request: request("k") };
  const first = await fixture.idempotency.run(call, effect);
  await fixture.database.transaction((tx) => fixture.idempotency.forget(tx, { method, principal: "ann", key: "k" }));
  expect(await fixture.idempotency.run(call, effect)).not.toEqual(first);
});

test("a reply with a sensitive field is stored sealed, and replayed in full", async () => {
  await using fixture = await startFixture();
  const call = { method: secretMethod, principal: "ann", request: secretRequest("k") };
  const reply = secretReply("4111-1111");
  await fixture.idempotency.run(call, async () => reply);
  const again = await replica(fixture.database).run(call, async () => secretReply("never"));
  expect(toBinary(secretMethod.output, again)).toEqual(toBinary(secretMethod.output, reply));
  const [row] = await fixture.database.query("SELECT reply, sealed, request_hash FROM weft_idempotency");
  expect(row).toMatchObject({ sealed: true });
  expect(Buffer.from(JSON.stringify(row)).toString()).not.toContain(Buffer.from("4111-1111").toString("hex"));
  expect(() =>
    fromBinary(secretMethod.output, row?.["reply"] instanceof Uint8Array ? row["reply"] : new Uint8Array()),
  ).toThrow();
});

test.each(["", "x".repeat(129)])("a key of a wrong length is refused", async (key) => {
  await using fixture = await startFixture();
  expect(await codeOf(fixture.idempotency.run({ method, principal: "ann", request: request(key) }, effect))).toBe(
    Code.InvalidArgument,
  );
});

test("a reply is recalled once it is remembered; another request under its key is refused, and what is older is forgotten", async () => {
  await using fixture = await startFixture({ keepMs: 60_000 });
  const call = { method, principal: "ann", request: request("k") };
  expect(await fixture.idempotency.recall(call)).toBeUndefined();
  const reply = await fixture.idempotency.run(call, effect);
  expect(await fixture.idempotency.recall(call)).toEqual(reply);
  expect(await fixture.idempotency.recall({ ...call, principal: "bob" })).toBeUndefined();
  const other = { ...call, request: request("k", 2) };
  expect(await codeOf(fixture.idempotency.recall(other))).toBe(Code.AlreadyExists);
  await fixture.database.query("UPDATE weft_idempotency SET expires_at = now()");
  expect(await fixture.idempotency.recall(call)).toBeUndefined();
  expect(await fixture.effects()).toBe(1);
});
