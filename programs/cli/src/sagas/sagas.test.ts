import { createServer } from "node:http2";
import { type AddressInfo, connect } from "node:net";
import { userInfo } from "node:os";
import { Writable } from "node:stream";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ConnectRouter, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  GetSagaResponseSchema,
  type Saga,
  SagaAdminService,
  SagaCountSchema,
  SagaSchema,
  SagaState,
} from "@weft/contracts/weft/saga/v1";
import { type KubeClient, kinds } from "@weft/kube";
import { expect, test } from "vitest";
import { runCli } from "../cli.js";
import { actOnSagas } from "./act.js";
import { countTable, sagaPage, sagaTable } from "./tables.js";
import { sagaTrouble, troubleLine } from "./trouble.js";

const now = new Date("2026-01-01T12:00:00Z");

function saga(id: string, state: SagaState, rest: MessageInitShape<typeof SagaSchema> = {}): Saga {
  return create(SagaSchema, {
    sagaId: id,
    name: "place-order",
    version: 2,
    state,
    step: "capture",
    createTime: timestampFromMs(now.getTime() - 300_000),
    updateTime: timestampFromMs(now.getTime() - 60_000),
    knownVersion: true,
    ...rest,
  });
}

test("the table has the parked sagas first, with age, step, due time and reason", () => {
  const due = timestampFromMs(now.getTime() + 30_000);
  expect(
    sagaTable(
      [
        saga("b", SagaState.RUNNING, { dueTime: due }),
        saga("a", SagaState.PARKED, { reason: "capture failed\n50 times", version: 1, knownVersion: false }),
        saga("c", SagaState.COMPLETED, { step: "" }),
      ],
      now,
    ),
  ).toBe(
    `SAGA  DEFINITION                     STATE      AGE  STEP     GOES ON          REASON
a     place-order v1 (unknown here)  PARKED     5m   capture  never by itself  capture failed 50 times
b     place-order v2                 running    5m   capture  in 30s
c     place-order v2                 completed  5m   -        -
`,
  );
});

test("versions that have not ended are counted, and unknown ones marked", () => {
  const counts = [
    create(SagaCountSchema, { name: "x", version: 1, state: SagaState.RUNNING, count: 3n }),
    create(SagaCountSchema, { name: "x", version: 2, state: SagaState.PARKED, count: 1n, knownVersion: true }),
  ];
  expect(countTable(counts)).toBe(
    "NOT ENDED            STATE    COUNT\nx v1 (unknown here)  running  3\nx v2                 parked   1\n",
  );
  expect(countTable([])).toBe("");
});

test("status has a line for a service whose sagas wait for somebody, and none for others", async () => {
  const count = (state: SagaState, knownVersion: boolean) =>
    create(SagaCountSchema, { name: "x", version: 1, state, count: 2n, knownVersion });
  expect(troubleLine("shop/orders", [count(SagaState.RUNNING, true)])).toBeUndefined();
  const parked =
    'sagas of shop/orders: 2 parked, 2 of versions that it does not know; see "weft sagas list --service shop/orders"';
  const counts = [count(SagaState.PARKED, true), count(SagaState.RUNNING, false)];
  expect(troubleLine("shop/orders", counts)).toBe(parked);
  await using service = await startService((router) =>
    router.service(SagaAdminService, { countSagas: () => ({ counts }) }),
  );
  const pods = (await service.client.list(kinds.pod)).items;
  expect(await sagaTrouble(service.client, new Map([["shop/orders", pods]]))).toEqual([parked]);
  await using silent = await startService(() => {});
  expect(await sagaTrouble(silent.client, new Map([["shop/cart", pods]]))).toEqual([]);
});

test("the page of a saga has its times, its steps with failed attempts and errors, and the audit rows", () => {
  const page = sagaPage(
    create(GetSagaResponseSchema, {
      saga: saga("a", SagaState.PARKED, { reason: "no answer", traceId: "0af7" }),
      inputJson: '{"orderId":"o-1","paymentToken":"card_\\"secret"}',
      steps: [
        { name: "reserve", state: "done", resultJson: '{"reservationId":"r"}' },
        { name: "capture", state: "waiting", attempts: 7, undoAttempts: 2, uncertain: true, error: "gone\u001b[31m" },
        { name: "label", state: "pending", skipped: true },
      ],
      acts: [{ actTime: timestampFromMs(now.getTime()), operator: "ada", act: "retry", reason: "bank is back" }],
    }),
    now,
  );
  expect(page).toMatch(/^started +2026-01-01T11:55:00.000Z \(5m ago\)$/m);
  expect(page).toMatch(/^trace +0af7$/m);
  expect(page).toMatch(/^input +\{"orderId":"o-1","paymentToken":"…"\}$/m);
  expect(page).toMatch(/^reserve +done +- +\{"reservationId":"r"\}$/m);
  expect(page).toMatch(/^capture +waiting, uncertain +7, undo 2 +error: gone \[31m$/m);
  expect(page).toMatch(/^label +pending +- +operator$/m);
  expect(page).toMatch(/^2026-01-01T12:00:00.000Z +ada +retry +bank is back$/m);
});

/** A Deployment with one ready Pod, whose port is served by `routes`; ports are forwarded by plain sockets. */
async function startService(routes: (router: ConnectRouter) => void) {
  const server = createServer(connectNodeAdapter({ routes }));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = fromAddress(server.address());
  const metadata = { name: "orders", namespace: "shop", labels: { app: "orders" } };
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...metadata, name: "orders-1" },
    spec: { containers: [{ name: "orders", image: "orders", ports: [{ name: "grpc", containerPort: 8080 }] }] },
    status: { conditions: [{ type: "Ready", status: "True" }] },
  };
  const deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata,
    spec: { selector: { matchLabels: { app: "orders" } }, template: pod },
  };
  const forwarded: number[] = [];
  const client: Pick<KubeClient, "list" | "portForward"> = {
    async list(kind) {
      const items = [deployment, pod]
        .filter((object) => object.kind === kind.kind)
        .map((object) => {
          const read = kind.parse(object);
          if (!read.ok) throw new Error(read.error);
          return read.value;
        });
      return { items, resourceVersion: "1", continueToken: undefined, unreadable: [] };
    },
    async portForward(_pod, to) {
      forwarded.push(to);
      return connect(port, "127.0.0.1");
    },
  };
  return {
    client,
    forwarded,
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function fromAddress(address: unknown): AddressInfo {
  return address as AddressInfo;
}

function ask(...operands: readonly string[]) {
  return {
    operands,
    options: new Map<string, string>([["reason", "the bank is back"]]),
    service: "orders",
    operator: userInfo().username,
  };
}

test("each act reaches the service through a port-forward, with reason, key and the operator's name", async () => {
  const seen: unknown[] = [];
  const note = (act: string, request: object, header: Headers) => {
    seen.push({ act, ...request, user: header.get("weft-user") });
    return { saga: saga("a", SagaState.RUNNING) };
  };
  const implementation: Partial<ServiceImpl<typeof SagaAdminService>> = {
    retrySaga: (request, { requestHeader }) => note("retry", request, requestHeader),
    skipStep: (request, { requestHeader }) => note("skip", request, requestHeader),
    compensateSaga: (request, { requestHeader }) => note("compensate", request, requestHeader),
  };
  await using service = await startService((router) => router.service(SagaAdminService, implementation));
  expect(await actOnSagas(service.client, ask("retry", "a"))).toBe("weft: goes on now: a is running at capture\n");
  await actOnSagas(service.client, {
    ...ask("skip", "a", "capture"),
    options: new Map([
      ["reason", "done by hand"],
      ["result", '{"x":1}'],
    ]),
  });
  await actOnSagas(service.client, {
    ...ask("compensate", "a"),
    options: new Map([
      ["reason", "r"],
      ["force", "true"],
    ]),
  });
  const user = userInfo().username;
  expect(seen).toMatchObject([
    {
      act: "retry",
      sagaId: "a",
      reason: "the bank is back",
      user,
      idempotencyKey: expect.stringMatching(/^[\w-]{36}$/),
    },
    { act: "skip", sagaId: "a", step: "capture", reason: "done by hand", resultJson: '{"x":1}', user },
    { act: "compensate", sagaId: "a", reason: "r", force: true, user },
  ]);
  expect(service.forwarded).toEqual([8080, 8080, 8080]);
});

test("a list is read page by page, the parked ones before all others", async () => {
  const all = Array.from({ length: 700 }, (_, n) =>
    saga(`saga-${n}`, n === 650 ? SagaState.PARKED : SagaState.COMPLETED),
  );
  await using service = await startService((router) =>
    router.service(SagaAdminService, {
      listSagas({ states, pageSize, pageToken }) {
        const fitting = all.filter(({ state }) => states.includes(state));
        const start = Number(pageToken);
        const end = start + pageSize;
        return { sagas: fitting.slice(start, end), nextPageToken: end < fitting.length ? String(end) : "" };
      },
      countSagas: () => ({ counts: [{ name: "place-order", version: 2, state: SagaState.PARKED, count: 1n }] }),
    }),
  );
  const limited = (limit: string) => ({ ...ask("list"), options: new Map([["limit", limit]]) });
  const [header, first, ...rest] = (await actOnSagas(service.client, limited("600"))).split("\n");
  expect(header).toMatch(/^SAGA +DEFINITION +STATE/);
  expect(first).toMatch(/^saga-650 .* PARKED/);
  expect(rest.filter((line) => line.startsWith("saga-"))).toHaveLength(599);
  const parked = { ...ask("list"), options: new Map([["only", "parked"]]) };
  expect((await actOnSagas(service.client, parked)).match(/^saga-/gm)).toHaveLength(1);
});

test("what can't be done is said in one line", async () => {
  await using service = await startService((router) =>
    router.service(SagaAdminService, {
      getSaga() {
        throw new ConnectError("no such saga", Code.NotFound);
      },
      retrySaga() {
        throw new ConnectError("saga a is running", Code.FailedPrecondition);
      },
    }),
  );
  const failing = (...operands: readonly string[]) => actOnSagas(service.client, ask(...operands));
  await expect(failing("show", "nope")).rejects.toThrow('orders has no saga "nope"');
  await expect(failing("retry", "a")).rejects.toThrow("orders refused: saga a is running");
  await expect(failing("skip", "a", "s")).rejects.toThrow("orders keeps no sagas");
  await expect(actOnSagas(service.client, { ...ask("show", "a"), service: "cart" })).rejects.toThrow(
    'there is no Deployment "cart"; there are shop/orders',
  );
});

test("what is asked wrongly is said before anything is reached", async () => {
  const weft = async (...args: readonly string[]) => {
    let stderr = "";
    const sink = new Writable({
      write(chunk, _encoding, done) {
        stderr += String(chunk);
        done();
      },
    });
    const code = await runCli({ args: ["sagas", ...args], env: {}, stdout: sink, stderr: sink });
    return { code, stderr };
  };
  const refused: readonly (readonly [readonly string[], string])[] = [
    [[], 'weft: "weft sagas" takes ACT [ID] [STEP]: see "weft help sagas"\n'],
    [["mend", "a"], 'weft: there is no "weft sagas mend": see "weft help sagas"\n'],
    [["show"], 'weft: "weft sagas show" takes an ID: see "weft help sagas"\n'],
    [["skip", "a", "--reason", "r"], 'weft: "weft sagas skip" takes an ID and a STEP: see "weft help sagas"\n'],
    [["retry", "a"], "weft: say why with --reason TEXT: it is kept in the audit row\n"],
    [["list", "--limit", "0"], 'weft: --limit takes a number from 1 to 10000, not "0"\n'],
    [
      ["list", "--only", "dead"],
      'weft: --only takes running, compensating, completed, compensated, parked, not "dead"\n',
    ],
  ];
  for (const [args, stderr] of refused) expect(await weft(...args)).toEqual({ code: 2, stderr });
});
