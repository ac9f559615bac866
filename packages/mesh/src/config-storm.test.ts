import { Code, createClient } from "@connectrpc/connect";
import { EchoService } from "@weft/contracts/weft/bench/v1";
import { FakeClock } from "@weft/foundation/testing";
import { createGrpcJsTransport } from "@weft/wire";
import { expect, test } from "vitest";
import { createMesh } from "./mesh.js";
import { startEcho } from "./testing/echo.js";
import { clusterOf, routedTarget, routeTo, TestControlPlane } from "./testing/index.js";
import { ScriptedTransport } from "./testing/scripted-transport.js";

const node = { id: "tests-1.shop", namespace: "shop" };

test("a hundred updates a second, some naming what is missing and some without endpoints, fail no call and hold none up", async () => {
  const transport = createGrpcJsTransport();
  await using plane = new TestControlPlane(transport);
  await plane.start();
  await using one = await startEcho(transport, "one");
  await using two = await startEcho(transport, "two");
  const ports = [{ port: one.port }, { port: two.port }];
  const publish = (round: number): void => {
    const routes = round % 7 === 3 ? [routeTo("missing")] : [routeTo("echo.shop")];
    const endpoints = round % 10 === 5 ? [] : ports.slice(round % 2, 1 + (round % 3));
    plane.publish([...routedTarget("echo.shop", routes), ...clusterOf("echo.shop", endpoints)]);
  };
  publish(0);
  await using mesh = await createMesh({ transport, controlPlane: plane.address, node });
  const client = createClient(EchoService, mesh.to("echo"));
  await client.echo({}, { timeoutMs: 5_000 });
  const errors: unknown[] = [];
  let round = 1;
  const timer = setInterval(() => publish(round++), 10);
  const endsAt = performance.now() + 2_000;
  while (performance.now() < endsAt) {
    const calls = Array.from({ length: 20 }, () => client.echo({}, { timeoutMs: 10_000 }));
    for (const result of await Promise.allSettled(calls)) if (result.status === "rejected") errors.push(result.reason);
  }
  clearInterval(timer);
  expect(errors).toEqual([]);
  expect(round).toBeGreaterThan(20);
});

test("a new process before a control plane that takes its stream and says nothing stays unready and says why, however long", async () => {
  const clock = new FakeClock();
  const transport = new ScriptedTransport({ autoUp: true });
  const mesh = await createMesh({ transport, controlPlane: "10.0.0.1:15010,10.0.0.2:15010", node, clock });
  const client = createClient(EchoService, mesh.to("echo"));
  for (let second = 0; second < 120; second += 1) await clock.advance(1_000);
  expect(mesh.state.value).toEqual({
    t: "not ready",
    reasons: ['target "echo.shop" waits for listener "echo.shop"'],
  });
  const asked = new Set(transport.streams.map(({ address }) => address));
  expect(asked).toEqual(new Set(["10.0.0.1:15010", "10.0.0.2:15010"]));
  const call = client.echo({}, { timeoutMs: 1_000 });
  const failed = expect(call).rejects.toMatchObject({
    code: Code.Unavailable,
    rawMessage: expect.stringContaining("listener"),
  });
  await clock.advance(1_000);
  await failed;
  await mesh[Symbol.asyncDispose]();
});
