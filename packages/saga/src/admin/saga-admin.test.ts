import { create } from "@bufbuild/protobuf";
import { Int64ValueSchema, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createHandlerContext } from "@connectrpc/connect";
import { SagaAdminService, SagaState } from "@weft/contracts/weft/saga/v1";
import { eventually } from "@weft/foundation/testing";
import { createDataKey, createIdempotency } from "@weft/store";
import { afterAll, beforeAll, expect, test } from "vitest";
import { saga } from "../definition/saga.js";
import { quick, type SagaHome, startSagaHome } from "../testing/fixtures/saga-home.js";
import { type AdminContext, createSagaAdminHandlers } from "./handlers.js";
import { createSagaAdmin } from "./saga-admin.js";

const policy = { ...quick, parkAfter: 2 };
let home: SagaHome;
beforeAll(async () => {
  home = await startSagaHome();
});
afterAll(() => home[Symbol.asyncDispose]());

/** A saga whose last steps fail for as long as they are told to. */
function stubborn(name: string) {
  const broken = { ship: true, undo: true };
  const gone = new ConnectError("gone", Code.Unavailable);
  const definition = saga(name, { version: 1, input: StringValueSchema })
    .step("hold", {
      run: async () => {},
      compensate: async () => {
        if (broken.undo) throw gone;
      },
      policy,
    })
    .step("check", {
      run: async ({ input }) => {
        if (input.value === "no") throw new ConnectError("no", Code.FailedPrecondition);
      },
      policy,
    })
    .pivot("pay", { run: async () => {}, policy })
    .step("ship", {
      result: Int64ValueSchema,
      run: async () => {
        if (broken.ship) throw gone;
        return { value: 7n };
      },
      policy,
    });
  return { definition, broken };
}

function adminOf(name: string) {
  const { definition, broken } = stubborn(name);
  const { sagas } = home.work({ definitions: [definition] });
  const admin = createSagaAdmin({ database: home.database, definitions: [definition] });
  const dataKey = createDataKey(Buffer.alloc(32, 1));
  const handlers = createSagaAdminHandlers({
    admin,
    idempotency: createIdempotency({ database: home.database, dataKey }),
  });
  return { definition, broken, sagas, handlers };
}

/** The context of a call by an operator. */
function operator(method: (typeof SagaAdminService.methods)[number]): AdminContext {
  const context = createHandlerContext({
    service: SagaAdminService,
    method,
    protocolName: "grpc",
    requestMethod: "POST",
    url: "http://localhost/",
  });
  return Object.assign(context, { user: "olga" });
}

const { retrySaga, skipStep, compensateSaga, getSaga, listSagas, countSagas } = SagaAdminService.method;

test("a step past the pivot that keeps failing parks its saga, and a retry goes on with it and leaves its audit row", async () => {
  const { definition, broken, sagas, handlers } = adminOf("retry");
  await sagas.start(definition, { id: "retry-1", input: { value: "x" } });
  expect(await sagas.outcome(definition, "retry-1")).toMatchObject({
    t: "parked",
    reason: expect.stringContaining("ship"),
  });
  await eventually(() => sagas.alarms.value.some((alarm) => alarm.t === "parked" && alarm.name === "retry"), {
    ceilingMs: 10_000,
  });
  broken.ship = false;
  const request = create(retrySaga.input, { idempotencyKey: "k1", sagaId: "retry-1", reason: "shipping is back" });
  await handlers.retrySaga(request, operator(retrySaga));
  await handlers.retrySaga(request, operator(retrySaga));
  expect((await sagas.outcome(definition, "retry-1")).t).toBe("completed");
  const shown = await handlers.getSaga(create(getSaga.input, { sagaId: "retry-1" }), operator(getSaga));
  expect(shown.acts).toMatchObject([{ operator: "olga", act: "retry", reason: "shipping is back" }]);
  expect(shown.steps?.map((step) => `${step.name} ${step.state} ${step.resultJson}`)).toEqual([
    "hold done ",
    "check done ",
    "pay done ",
    'ship done "7"',
  ]);
});

test("a skipped step counts as done with the operator's result; without the result that it needs it is refused", async () => {
  const { definition, sagas, handlers } = adminOf("skip");
  await sagas.start(definition, { id: "skip-1", input: {} });
  await sagas.outcome(definition, "skip-1");
  const skip = (key: string, resultJson: string) =>
    handlers.skipStep(
      create(skipStep.input, {
        idempotencyKey: key,
        sagaId: "skip-1",
        step: "ship",
        resultJson,
        reason: "sent by hand",
      }),
      operator(skipStep),
    );
  await expect(skip("s1", "")).rejects.toMatchObject({ code: Code.FailedPrecondition });
  await expect(skip("s2", '"many"')).rejects.toMatchObject({ code: Code.InvalidArgument });
  await skip("s3", '"9"');
  expect(await sagas.outcome(definition, "skip-1")).toMatchObject({ t: "completed", results: { ship: { value: 9n } } });
});

test("a compensation that keeps failing parks too, and can be skipped", async () => {
  const { definition, sagas, handlers } = adminOf("undo");
  await sagas.start(definition, { id: "undo-1", input: { value: "no" } });
  expect(await sagas.outcome(definition, "undo-1")).toMatchObject({
    t: "parked",
    reason: expect.stringContaining("hold"),
  });
  const request = { idempotencyKey: "u1", sagaId: "undo-1", step: "hold", reason: "nothing was held" };
  await handlers.skipStep(create(skipStep.input, request), operator(skipStep));
  expect((await sagas.outcome(definition, "undo-1")).t).toBe("compensated");
});

test("a parked saga past its pivot turns back only by force", async () => {
  const { definition, broken, sagas, handlers } = adminOf("force");
  await sagas.start(definition, { id: "force-1", input: {} });
  await sagas.outcome(definition, "force-1");
  broken.undo = false;
  const turn = (key: string, force: boolean) =>
    handlers.compensateSaga(
      create(compensateSaga.input, { idempotencyKey: key, sagaId: "force-1", reason: "refunded by hand", force }),
      operator(compensateSaga),
    );
  await expect(turn("f1", false)).rejects.toMatchObject({ code: Code.FailedPrecondition });
  await turn("f2", true);
  const outcome = await sagas.outcome(definition, "force-1");
  expect(outcome).toMatchObject({
    t: "compensated",
    failure: { message: expect.stringContaining("refunded by hand") },
  });
});

test("sagas are listed by page, name and state, and open ones are counted by version", async () => {
  const { definition, sagas, handlers } = adminOf("list");
  for (const id of ["list-1", "list-2", "list-3"]) {
    await sagas.start(definition, { id, input: {} });
    await sagas.outcome(definition, id);
  }
  const list = (pageToken: string) =>
    handlers.listSagas(
      create(listSagas.input, { pageSize: 2, pageToken, name: "list", states: [SagaState.PARKED] }),
      operator(listSagas),
    );
  const first = await list("");
  expect(first.sagas?.map((one) => one.sagaId)).toEqual(["list-3", "list-2"]);
  expect((await list(first.nextPageToken ?? "")).sagas?.map((one) => one.sagaId)).toEqual(["list-1"]);
  const counts = await handlers.countSagas(create(countSagas.input), operator(countSagas));
  expect(counts.counts).toContainEqual({
    name: "list",
    version: 1,
    state: SagaState.PARKED,
    count: 3n,
    knownVersion: true,
  });
});
