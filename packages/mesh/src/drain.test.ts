import { createClient } from "@connectrpc/connect";
import { EchoService } from "@weft/contracts/weft/bench/v1";
import { eventually } from "@weft/foundation/testing";
import { createGrpcJsTransport } from "@weft/wire";
import { expect, test } from "vitest";
import { createMesh, type Mesh } from "./mesh.js";
import { bytesOf, startEcho, textOf } from "./testing/echo.js";
import { clusterOf, routedTarget, TestControlPlane } from "./testing/index.js";
import { layCable } from "./testing/tcp-cable.js";

const transport = createGrpcJsTransport();
const node = { id: "tests-1.shop", namespace: "shop" };

async function startPlane(): Promise<TestControlPlane> {
  const plane = new TestControlPlane(transport);
  await plane.start();
  return plane;
}

const target = (ports: readonly number[]) => [
  ...routedTarget("echo.shop"),
  ...clusterOf(
    "echo.shop",
    ports.map((port) => ({ port })),
  ),
];

/** Calls at 200 a second until told to stop; gives the names that answered, and the errors. */
function steadyCalls(mesh: Mesh) {
  const client = createClient(EchoService, mesh.to("echo"));
  const answers: string[] = [];
  const errors: unknown[] = [];
  const running = new Set<Promise<void>>();
  const timer = setInterval(() => {
    for (let n = 0; n < 2; n += 1) {
      const call: Promise<void> = client
        .echo({}, { timeoutMs: 10_000 })
        .then(
          ({ payload }) => void answers.push(textOf(payload)),
          (error: unknown) => void errors.push(error),
        )
        .finally(() => running.delete(call));
      running.add(call);
    }
  }, 10);
  return {
    answers,
    async atLeast(more: number): Promise<void> {
      const goal = answers.length + more;
      await eventually(() => answers.length >= goal, { ceilingMs: 20_000, what: `${more} more answers` });
    },
    async stop(): Promise<readonly unknown[]> {
      clearInterval(timer);
      await Promise.all(running);
      return errors;
    },
  };
}

test("at 200 calls a second an endpoint is replaced by another and no call fails", async () => {
  await using plane = await startPlane();
  await using a = await startEcho(transport, "a", { delayMs: 5 });
  await using b = await startEcho(transport, "b", { delayMs: 5 });
  await using c = await startEcho(transport, "c", { delayMs: 5 });
  plane.publish(target([a.port, b.port]));
  await using mesh = await createMesh({ transport, node, controlPlane: plane.address });
  const calls = steadyCalls(mesh);
  await calls.atLeast(100);
  expect(new Set(calls.answers)).toEqual(new Set(["a", "b"]));
  const drained = a.drain({ delayMs: 100, timeoutMs: 5_000 });
  plane.publish(target([b.port, c.port]));
  await drained;
  const before = calls.answers.length;
  await calls.atLeast(100);
  expect(await calls.stop()).toEqual([]);
  expect(new Set(calls.answers.slice(before))).toEqual(new Set(["b", "c"]));
});

test("a server that drains while no control plane is there sends nobody away with an error", async () => {
  await using plane = await startPlane();
  await using a = await startEcho(transport, "a", { delayMs: 5 });
  await using b = await startEcho(transport, "b", { delayMs: 5 });
  plane.publish(target([a.port, b.port]));
  await using mesh = await createMesh({ transport, node, controlPlane: plane.address });
  const calls = steadyCalls(mesh);
  await calls.atLeast(50);
  await plane.stop();
  await a.drain({ delayMs: 0, timeoutMs: 5_000 });
  await calls.atLeast(100);
  expect(await calls.stop()).toEqual([]);
});

test("a server that dies takes no idempotent call with it", async () => {
  await using plane = await startPlane();
  await using a = await startEcho(transport, "a", { delayMs: 20 });
  await using b = await startEcho(transport, "b", { delayMs: 20 });
  await using cable = await layCable(a.port);
  plane.publish(target([cable.port, b.port]));
  await using mesh = await createMesh({ transport, node, controlPlane: plane.address });
  const calls = steadyCalls(mesh);
  await calls.atLeast(50);
  await cable.cut();
  await calls.atLeast(100);
  expect(await calls.stop()).toEqual([]);
});

test("calls wait for the only endpoint to come back from a restart", async () => {
  await using plane = await startPlane();
  const first = await startEcho(transport, "first");
  const { port } = first;
  plane.publish(target([port]));
  await using mesh = await createMesh({ transport, node, controlPlane: plane.address });
  const calls = steadyCalls(mesh);
  await calls.atLeast(50);
  await first.drain({ delayMs: 0, timeoutMs: 0 });
  await eventually(() => mesh.describe().targets[0]?.clusters[0]?.endpoints[0]?.state === "failed", {
    ceilingMs: 5_000,
  });
  await using second = await startEcho(transport, "second", { port });
  expect(second.port).toBe(port);
  await calls.atLeast(50);
  expect(await calls.stop()).toEqual([]);
  expect(calls.answers.at(-1)).toBe("second");
});

test("calls wait for a cluster that has no endpoints for a moment", async () => {
  await using plane = await startPlane();
  await using server = await startEcho(transport, "one");
  plane.publish(target([]));
  await using mesh = await createMesh({ transport, node, controlPlane: plane.address });
  const client = createClient(EchoService, mesh.to("echo"));
  const call = client.echo({}, { timeoutMs: 10_000 });
  await eventually(() => mesh.state.value.t === "ready", { ceilingMs: 5_000 });
  plane.publish(target([server.port]));
  expect(textOf((await call).payload)).toBe("one");
});

test("a stream that is open when its endpoint is taken out goes on to its end", async () => {
  await using plane = await startPlane();
  await using a = await startEcho(transport, "a");
  await using b = await startEcho(transport, "b");
  plane.publish(target([a.port]));
  await using mesh = await createMesh({ transport, node, controlPlane: plane.address });
  const client = createClient(EchoService, mesh.to("echo"));
  const input = async function* () {
    yield { payload: bytesOf("before") };
    plane.publish(target([b.port]));
    await eventually(async () => textOf((await client.echo({}, { timeoutMs: 5_000 })).payload) === "b", {
      ceilingMs: 5_000,
    });
    yield { payload: bytesOf("after") };
  };
  const seen: string[] = [];
  for await (const { payload } of client.echoEach(input(), { timeoutMs: 10_000 })) seen.push(textOf(payload));
  expect(seen).toEqual(["before", "after"]);
  // Its connection closes with it.
  await eventually(() => a.openStreams === 0, { ceilingMs: 5_000 });
});
