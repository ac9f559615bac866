import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { EchoService } from "@weft/contracts/weft/bench/v1";
import { eventually } from "@weft/foundation/testing";
import { createGrpcJsTransport } from "@weft/wire";
import { expect, test } from "vitest";
import { createMesh } from "./mesh.js";
import { textOf } from "./testing/echo.js";
import { clusterOf, routedTarget, TestControlPlane } from "./testing/index.js";

const transport = createGrpcJsTransport();

/** A server that knows nothing of Weft: it answers each Echo with one letter after 20 ms, and prints its port. */
const program = `
import { Server, ServerCredentials } from "@grpc/grpc-js";
const asIs = (bytes) => bytes;
const echo = {
  path: "/weft.bench.v1.EchoService/Echo", requestStream: false, responseStream: false,
  requestSerialize: asIs, requestDeserialize: asIs, responseSerialize: asIs, responseDeserialize: asIs,
};
const server = new Server();
const payload = Buffer.from([10, 1, process.argv[1].charCodeAt(0)]);
server.addService({ echo }, { echo: (_call, reply) => setTimeout(() => reply(null, payload), 20) });
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (_error, port) => console.log(port));
`;

async function startPeer(
  letter: string,
): Promise<AsyncDisposable & { readonly port: number; readonly child: ChildProcess }> {
  const cwd = fileURLToPath(new URL("../../wire", import.meta.url));
  const child = spawn(process.execPath, ["--input-type=module", "-e", program, letter], {
    cwd,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(child.stdout, "data");
  return {
    child,
    port: Number(String(line)),
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    },
  };
}

test("kill -9 of a peer under 200 calls a second costs no idempotent call", async () => {
  await using plane = new TestControlPlane(transport);
  await plane.start();
  await using a = await startPeer("a");
  await using b = await startPeer("b");
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
