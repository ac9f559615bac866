import { Int64ValueSchema, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { eventually } from "@weft/foundation/testing";
import { currentCallScope, runInCallScope } from "@weft/mesh";
import { column } from "@weft/store";
import { afterAll, beforeAll, expect, test } from "vitest";
import { failureError } from "../definition/failure.js";
import { saga } from "../definition/saga.js";
import { quick, type SagaHome, startSagaHome } from "../testing/fixtures/saga-home.js";

const policy = quick;
const ceiling = { ceilingMs: 20_000 };
let home: SagaHome;
beforeAll(async () => {
  home = await startSagaHome();
});
afterAll(() => home[Symbol.asyncDispose]());

const begin = (name: string) => saga(name, { version: 1, input: StringValueSchema });
const refuse = (message: string) => async (): Promise<never> => {
  throw new ConnectError(message, Code.FailedPrecondition);
};

/** A promise that a test settles. */
function gate(): { readonly open: () => void; readonly opened: Promise<void> } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

test("a saga goes through its steps, each seeing what came before", async () => {
  const definition = begin("happy")
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
  const { sagas } = home.work({ definitions: [definition] });
  await sagas.start(definition, { id: "happy-1", input: { value: "abc" }, principal: "ada" });
  const outcome = await sagas.outcome(definition, "happy-1");
  expect(outcome).toMatchObject({ t: "completed", results: { third: { value: "3! saga/happy-1/third" } } });
  const view = await sagas.query(definition, "happy-1");
  expect(view).toMatchObject({ state: "completed", principal: "ada", pivotBegun: true, input: { value: "abc" } });
});

test("a refusal turns the saga back: what was done is compensated, the latest first", async () => {
  const log: string[] = [];
  const definition = begin("refusal")
    .step("a", {
      result: StringValueSchema,
      run: async () => ({ value: "A" }),
      compensate: async ({ result, failure, key }) => void log.push(`a ${result?.value} ${failure.message} ${key}`),
      policy,
    })
    .step("b", { run: async () => {}, compensate: async ({ stepKey }) => void log.push(`b ${stepKey}`), policy })
    .step("c", { run: refuse("no"), compensate: async () => void log.push("c"), policy });
  const { sagas } = home.work({ definitions: [definition] });
  await sagas.start(definition, { id: "refusal-1", input: {} });
  const outcome = await sagas.outcome(definition, "refusal-1");
  expect(outcome).toMatchObject({ t: "compensated", failure: { step: "c", code: Code.FailedPrecondition } });
  expect(log).toEqual(["b saga/refusal-1/b", "a A no saga/refusal-1/a/undo"]);
  if (outcome.t === "compensated") expect(failureError(outcome.failure).rawMessage).toBe("no");
});

test("an attempt that ends by its deadline counts once: its late success is found by asking, and the saga goes on", async () => {
  const log: string[] = [];
  const definition = begin("late").step("slow", {
    result: StringValueSchema,
    run: async ({ signal }) => {
      log.push("run");
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      return { value: "late" };
    },
    ask: async () => {
      log.push("ask");
      return { t: "found", result: { value: "asked" } };
    },
    policy: { ...policy, timeoutMs: 50 },
  });
  const { sagas } = home.work({ definitions: [definition] });
  await sagas.start(definition, { id: "late-1", input: {} });
  expect(await sagas.outcome(definition, "late-1")).toMatchObject({ results: { slow: { value: "asked" } } });
  expect(log).toEqual(["run", "ask"]);
});

test("an outcome that stays unknown is asked about before it is compensated", async () => {
  const log: string[] = [];
  const definition = begin("doubt").step("step", {
    run: async () => {
      throw new ConnectError("gone", Code.Unavailable);
    },
    ask: async ({ attempt }) => {
      log.push(`ask ${attempt}`);
      return { t: "absent" };
    },
    compensate: async ({ result }) => void log.push(`compensate ${result}`),
    policy: { ...policy, attempts: 2 },
  });
  const { sagas } = home.work({ definitions: [definition] });
  await sagas.start(definition, { id: "doubt-1", input: {} });
  expect((await sagas.outcome(definition, "doubt-1")).t).toBe("compensated");
  expect(log).toEqual(["ask 2", "ask 3", "compensate undefined"]);
});

test("a cancellation before the pivot turns the saga back, and one after it is too late", async () => {
  const [entered, first, second] = [gate(), gate(), gate()];
  const undone: string[] = [];
  const definition = begin("cancel")
    .step("hold", {
      run: () => {
        entered.open();
        return first.opened;
      },
      compensate: async ({ sagaId }) => void undone.push(sagaId),
      policy,
    })
    .pivot("pay", { run: () => second.opened, policy });
  const { sagas } = home.work({ definitions: [definition] });
  await sagas.start(definition, { id: "cancel-1", input: {} });
  await entered.opened;
  expect(await sagas.cancel("cancel-1", "changed my mind")).toBe("accepted");
  first.open();
  const failure = { code: Code.Canceled, message: "changed my mind", step: "" };
  expect(await sagas.outcome(definition, "cancel-1")).toMatchObject({ t: "compensated", failure });
  await sagas.start(definition, { id: "cancel-2", input: {} });
  await eventually(async () => (await sagas.query(definition, "cancel-2"))?.pivotBegun, ceiling);
  expect(await sagas.cancel("cancel-2", "again")).toBe("too-late");
  second.open();
  expect((await sagas.outcome(definition, "cancel-2")).t).toBe("completed");
  expect(await sagas.cancel("cancel-2", "again")).toBe("ended");
  expect(await sagas.cancel("cancel-3", "again")).toBe("not-found");
  expect(undone).toEqual(["cancel-1"]);
});

test("a lock lets one saga at a time through, in the order of arrival, also over workers", async () => {
  const seen: string[] = [];
  let inside = 0;
  const locked = (name: string, whenTaken: "wait" | "fail") =>
    begin(name)
      .lock("customer", { key: ({ input }) => `${name}/${input.value}`, whenTaken })
      .step("work", {
        run: async ({ sagaId }) => {
          inside += 1;
          expect(inside).toBe(1);
          seen.push(sagaId);
          await new Promise((resolve) => setTimeout(resolve, 20));
          inside -= 1;
        },
        policy,
      });
  const waiting = locked("wait", "wait");
  const one = home.work({ definitions: [waiting] });
  const two = home.work({ definitions: [waiting] });
  const ids = ["wait-1", "wait-2", "wait-3", "wait-4"];
  for (const [at, id] of ids.entries())
    await (at % 2 === 0 ? one : two).sagas.start(waiting, { id, input: { value: "ada" } });
  for (const id of ids) expect((await one.sagas.outcome(waiting, id)).t).toBe("completed");
  expect(seen).toHaveLength(4);

  const hold = gate();
  const failing = begin("fail")
    .lock("customer", { key: () => "fail/ada", whenTaken: "fail" })
    .step("work", { run: () => hold.opened, policy });
  const { sagas } = home.work({ definitions: [failing] });
  await sagas.start(failing, { id: "fail-1", input: {} });
  await eventually(async () => (await sagas.query(failing, "fail-1"))?.step === "work", ceiling);
  await sagas.start(failing, { id: "fail-2", input: {} });
  expect(await sagas.outcome(failing, "fail-2")).toMatchObject({ t: "compensated", failure: { code: Code.Aborted } });
  hold.open();
  expect((await sagas.outcome(failing, "fail-1")).t).toBe("completed");
  expect(await home.database.query("SELECT * FROM weft_saga_locks")).toEqual([]);
});

test("a local step commits with its record, or not at all", async () => {
  await home.database.query("CREATE TABLE notes (text text UNIQUE)");
  const definition = begin("local")
    .local("note", {
      run: async (tx, { input }) => {
        await tx.query("INSERT INTO notes VALUES ($1)", [input.value]);
        if (input.value === "bad") throw new ConnectError("bad", Code.InvalidArgument);
      },
      compensate: async (tx, { input }) => {
        await tx.query("DELETE FROM notes WHERE text = $1", [input.value]);
      },
      policy,
    })
    .step("check", { run: async ({ input }) => (input.value === "undo" ? refuse("no")() : undefined), policy });
  const { sagas } = home.work({ definitions: [definition] });
  for (const value of ["good", "bad", "undo"]) {
    await sagas.start(definition, { id: `local-${value}`, input: { value } });
    expect((await sagas.outcome(definition, `local-${value}`)).t).toBe(value === "good" ? "completed" : "compensated");
  }
  expect(await home.database.query("SELECT text FROM notes")).toEqual([{ text: "good" }]);
});

test("a saga that is enqueued starts with the commit and not without it", async () => {
  const definition = begin("enqueued").step("only", { run: async () => {}, policy });
  const { sagas } = home.work({ definitions: [definition] });
  await expect(
    home.database.transaction(async (tx) => {
      await sagas.enqueue(tx, definition, { id: "enqueued-0", input: {} });
      throw new Error("no");
    }),
  ).rejects.toThrow();
  expect(await sagas.query(definition, "enqueued-0")).toBeUndefined();
  await home.database.transaction((tx) => sagas.enqueue(tx, definition, { id: "enqueued-1", input: {} }));
  await sagas.begin("enqueued-1");
  expect((await sagas.outcome(definition, "enqueued-1")).t).toBe("completed");
});

test("starting an id again changes nothing; with another input it is ALREADY_EXISTS", async () => {
  let runs = 0;
  const definition = begin("again").step("only", { run: async () => void runs++, policy });
  const { sagas } = home.work({ definitions: [definition] });
  const same = { id: "again-1", input: { value: "x" } };
  await Promise.all([sagas.start(definition, same), sagas.start(definition, same)]);
  await sagas.outcome(definition, "again-1");
  await sagas.start(definition, same);
  expect(runs).toBe(1);
  const other = sagas.start(definition, { id: "again-1", input: { value: "y" } });
  await expect(other).rejects.toMatchObject({ code: Code.AlreadyExists });
  await expect(sagas.outcome(definition, "again-2")).rejects.toMatchObject({ code: Code.NotFound });
});

test("steps and compensations run outside the call that started the saga, for its user, under deadlines of their own", async () => {
  const scopes: (string | undefined)[] = [];
  let open = 0;
  const look = (): void => {
    const scope = currentCallScope();
    scopes.push(scope?.user);
    if (scope?.signal.aborted === false && (scope.deadline ?? 0) > performance.now()) open += 1;
  };
  const definition = begin("detached")
    .step("a", { run: async () => look(), compensate: async () => look(), policy })
    .step("b", { run: refuse("no"), policy });
  const { sagas } = home.work({ definitions: [definition] });
  const caller = new AbortController();
  await runInCallScope({ deadline: performance.now() + 50, signal: caller.signal, user: "ada" }, () =>
    sagas.start(definition, { id: "detached-1", input: {} }),
  );
  caller.abort();
  await sagas.outcome(definition, "detached-1");
  expect({ scopes, open }).toEqual({ scopes: ["ada", "ada"], open: 2 });
});

test("a sleep is in the database: it ends in another worker than it began in, not before its time", async () => {
  const definition = begin("sleepy")
    .sleep("nap", 400)
    .step("after", { run: async () => {}, policy });
  const first = home.work({ definitions: [definition] });
  await first.sagas.start(definition, { id: "sleepy-1", input: {} });
  await eventually(async () => (await first.sagas.query(definition, "sleepy-1"))?.step === "nap", ceiling);
  await first.end();
  const { sagas } = home.work({ definitions: [definition] });
  expect((await sagas.outcome(definition, "sleepy-1")).t).toBe("completed");
  const [row] = await home.database.query(
    "SELECT extract(epoch FROM ended_at - created_at)::float8 > 0.4 AS slept FROM weft_sagas WHERE saga_id = 'sleepy-1'",
  );
  expect(row !== undefined && column.boolean(row, "slept")).toBe(true);
});

test("steps of a group run at the same time, and one that fails has the others compensated", async () => {
  const [left, right] = [gate(), gate()];
  const undone: string[] = [];
  const definition = begin("group").parallel("both", (group) =>
    group
      .step("left", {
        run: async () => {
          left.open();
          await right.opened;
        },
        compensate: async () => void undone.push("left"),
        policy,
      })
      .step("right", {
        run: async ({ input }) => {
          right.open();
          await left.opened;
          if (input.value === "no") await refuse("no")();
        },
        compensate: async () => void undone.push("right"),
        policy,
      }),
  );
  const { sagas } = home.work({ definitions: [definition] });
  await sagas.start(definition, { id: "group-1", input: {} });
  expect((await sagas.outcome(definition, "group-1")).t).toBe("completed");
  await sagas.start(definition, { id: "group-2", input: { value: "no" } });
  expect((await sagas.outcome(definition, "group-2")).t).toBe("compensated");
  expect(undone).toEqual(["left"]);
});

test("a version that this program does not know is left alone, with an alarm, for one that does", async () => {
  const old = begin("versions").step("a", { run: async () => {}, policy });
  const next = saga("versions", { version: 2, input: StringValueSchema }).step("b", { run: async () => {}, policy });
  const older = home.work({ definitions: [old] });
  const client = home.work({ definitions: [next] });
  await client.end();
  await client.sagas.start(next, { id: "versions-1", input: {} });
  const alarm = { t: "unknown-version", name: "versions", version: 2, count: 1 };
  await eventually(() => older.sagas.alarms.value.some((a) => JSON.stringify(a) === JSON.stringify(alarm)), ceiling);
  expect(await older.sagas.query(old, "versions-1")).toBeUndefined();
  const newer = home.work({ definitions: [old, next] });
  expect((await newer.sagas.outcome(next, "versions-1")).t).toBe("completed");
  await eventually(() => older.sagas.alarms.value.every((a) => a.name !== "versions"), ceiling);
});

test("sagas that ended long ago are removed", async () => {
  const definition = begin("old").step("a", { run: async () => {}, policy });
  const { sagas } = home.work({ definitions: [definition], keepEndedMs: 1 });
  await sagas.start(definition, { id: "old-1", input: {} });
  await sagas.outcome(definition, "old-1");
  await eventually(async () => (await sagas.query(definition, "old-1")) === undefined, ceiling);
});
