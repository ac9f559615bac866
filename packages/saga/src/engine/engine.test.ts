import { Int64ValueSchema, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { Scope } from "@weft/foundation";
import { createDatabase, createNotifications, migrate } from "@weft/store";
import { startTestDatabase } from "@weft/store/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { saga } from "../definition/saga.js";
import { sagaMigration } from "../rows/migration.js";
import { sagaChannel } from "../rows/saga-rows.js";
import { createSagas } from "./create-sagas.js";

let home: Awaited<ReturnType<typeof startTestDatabase>>;
beforeAll(async () => {
  home = await startTestDatabase();
  await using database = createDatabase({ url: home.url });
  await migrate(database, [sagaMigration]);
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

const policy = { timeoutMs: 2_000, backoff: { initialMs: 5, maxMs: 20, multiplier: 2, jitter: 0 }, attempts: 3 };

test("a saga goes through its steps, each seeing what came before", async () => {
  await using scope = new Scope();
  const database = scope.use(createDatabase({ url: home.url }));
  const notifications = scope.use(createNotifications({ url: home.url, channel: sagaChannel }));
  const definition = saga("happy", { version: 1, input: StringValueSchema })
    .step("first", {
      result: Int64ValueSchema,
      run: async (call) => ({ value: BigInt(call.input.value.length) }),
      policy,
    })
    .pivot("second", {
      result: StringValueSchema,
      run: async (call) => ({ value: `${call.results.first.value}!` }),
      policy,
    })
    .step("third", {
      result: StringValueSchema,
      run: async (call) => ({ value: `${call.results.second.value} ${call.key}` }),
      policy,
    });
  const sagas = createSagas({ database, notifications, definitions: [definition] });
  scope.spawn((signal) => sagas.work(signal));
  await sagas.start(definition, { id: "happy-1", input: { value: "abc" }, principal: "ada" });
  const outcome = await sagas.outcome(definition, "happy-1");
  expect(outcome).toMatchObject({ t: "completed", results: { third: { value: "3! saga/happy-1/third" } } });
  expect(await sagas.query(definition, "happy-1")).toMatchObject({
    state: "completed",
    principal: "ada",
    pivotBegun: true,
  });
});

test("a refusal turns the saga back: what was done is compensated, the latest first", async () => {
  await using scope = new Scope();
  const database = scope.use(createDatabase({ url: home.url }));
  const log: string[] = [];
  const definition = saga("refusal", { version: 1, input: StringValueSchema })
    .step("a", {
      result: StringValueSchema,
      run: async () => ({ value: "A" }),
      compensate: async (call) => void log.push(`undo a ${call.result?.value} ${call.failure.message} ${call.key}`),
      policy,
    })
    .step("b", { run: async () => {}, compensate: async (call) => void log.push(`undo b ${call.stepKey}`), policy })
    .step("c", {
      run: async () => {
        throw new ConnectError("no", Code.FailedPrecondition);
      },
      compensate: async () => void log.push("undo c"),
      policy,
    });
  const sagas = createSagas({ database, definitions: [definition] });
  scope.spawn((signal) => sagas.work(signal));
  await sagas.start(definition, { id: "refusal-1", input: { value: "abc" } });
  const outcome = await sagas.outcome(definition, "refusal-1");
  expect(outcome).toMatchObject({
    t: "compensated",
    failure: { step: "c", code: Code.FailedPrecondition, message: "no" },
  });
  expect(log).toEqual(["undo b saga/refusal-1/b", "undo a A no saga/refusal-1/a/undo"]);
});
