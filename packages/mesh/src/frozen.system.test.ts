import { createClient } from "@connectrpc/connect";
import { EchoService } from "@weft/contracts/weft/bench/v1";
import { eventually } from "@weft/foundation/testing";
import { createGrpcJsTransport } from "@weft/wire";
import { expect, test } from "vitest";
import { createMesh } from "./mesh.js";
import { startRelay, startStockPeer } from "./testing/child-servers.js";
import { startEcho, textOf } from "./testing/echo.js";
import { clusterOf, routedTarget, TestControlPlane } from "./testing/index.js";

const transport = createGrpcJsTransport();
const keepalive = { timeMs: 200, timeoutMs: 800 };
const ceilingMs = 20_000;

test("an endpoint that is frozen under load is dropped, its idempotent calls go elsewhere, and thawed it is used again", async () => {
  await using plane = new TestControlPlane(transport);
  await plane.start();
  await using a = await startStockPeer("a");
  await using b = await startStockPeer("b");
  plane.publish([...routedTarget("echo.shop"), ...clusterOf("echo.shop", [{ port: a.port }, { port: b.port }])]);
  const node = { id: "t.shop", namespace: "shop" };
  await using mesh = await createMesh({ transport, controlPlane: plane.address, node, keepalive });
  const client = createClient(EchoService, mesh.to("echo"));
  const answers: string[] = [];
  const errors: unknown[] = [];
  const running = new Set<Promise<void>>();
  const timer = setInterval(() => {
    const call: Promise<void> = client
      .echo({}, { timeoutMs: 10_000 })
      .then(
        ({ payload }) => void answers.push(textOf(payload)),
        (error: unknown) => void errors.push(error),
      )
      .finally(() => running.delete(call));
    running.add(call);
  }, 20);
  const stateOfA = (): string | undefined =>
    mesh.describe().targets[0]?.clusters[0]?.endpoints.find(({ address }) => address.endsWith(`:${a.port}`))?.state;
  await eventually(() => new Set(answers).size === 2 && answers.length > 50, { ceilingMs });
  a.child.kill("SIGSTOP");
  await eventually(() => stateOfA() !== "ready", { ceilingMs });
  const droppedAt = answers.length;
  await eventually(() => answers.length > droppedAt + 100, { ceilingMs });
  a.child.kill("SIGCONT");
  const thawedAt = answers.length;
  await eventually(() => answers.slice(thawedAt).includes("a"), { ceilingMs });
  clearInterval(timer);
  await Promise.all(running);
  expect(errors).toEqual([]);
});

test("a control plane that is frozen is left for another", async () => {
  await using first = new TestControlPlane(transport);
  await using second = new TestControlPlane(transport);
  await using one = await startEcho(transport, "one");
  await using two = await startEcho(transport, "two");
  for (const plane of [first, second]) {
    await plane.start();
    plane.publish([...routedTarget("echo.shop"), ...clusterOf("echo.shop", [{ port: one.port }])], 1);
  }
  await using relay = await startRelay(Number(first.address.split(":")[1]));
  await using mesh = await createMesh({
    transport,
    controlPlane: `127.0.0.1:${relay.port},${second.address}`,
    node: { id: "t.shop", namespace: "shop" },
    keepalive,
    random: () => 0,
  });
  const client = createClient(EchoService, mesh.to("echo"));
  expect(textOf((await client.echo({}, { timeoutMs: 5_000 })).payload)).toBe("one");
  relay.child.kill("SIGSTOP");
  second.publish([...routedTarget("echo.shop"), ...clusterOf("echo.shop", [{ port: two.port }])], 2);
  await eventually(async () => textOf((await client.echo({}, { timeoutMs: 5_000 })).payload) === "two", { ceilingMs });
  expect(mesh.describe()).toMatchObject({ connected: true, version: "2" });
});
