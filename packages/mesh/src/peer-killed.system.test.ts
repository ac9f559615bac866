import { createClient } from "@connectrpc/connect";
import { EchoService } from "@weft/contracts/weft/bench/v1";
import { eventually } from "@weft/foundation/testing";
import { createGrpcJsTransport } from "@weft/wire";
import { expect, test } from "vitest";
import { createMesh } from "./mesh.js";
import { startStockPeer } from "./testing/child-servers.js";
import { textOf } from "./testing/echo.js";
import { clusterOf, routedTarget, TestControlPlane } from "./testing/index.js";

const transport = createGrpcJsTransport();

test("kill -9 of a peer under 200 calls a second costs no idempotent call", async () => {
  await using plane = new TestControlPlane(transport);
  await plane.start();
  await using a = await startStockPeer("a");
  await using b = await startStockPeer("b");
  plane.publish([...routedTarget("echo.shop"), ...clusterOf("echo.shop", [{ port: a.port }, { port: b.port }])]);
  await using mesh = await createMesh({
    transport,
    controlPlane: plane.address,
    node: { id: "t.shop", namespace: "shop" },
  });
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
  }, 5);
  await eventually(() => new Set(answers).size === 2 && answers.length > 100, { ceilingMs: 20_000 });
  a.child.kill("SIGKILL");
  const killedAt = answers.length;
  await eventually(() => answers.length > killedAt + 200, { ceilingMs: 20_000 });
  clearInterval(timer);
  await Promise.all(running);
  expect(errors).toEqual([]);
  expect(new Set(answers.slice(killedAt + 50))).toEqual(new Set(["b"]));
  const endpoint = mesh
    .describe()
    .targets[0]?.clusters[0]?.endpoints.find(({ address }) => address.endsWith(`:${a.port}`));
  expect(endpoint?.state).toBe("failed");
});
