import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { EchoResponseSchema, EchoService } from "@weft/contracts/weft/bench/v1";
import { createGrpcJsTransport } from "@weft/wire";
import { expect, test } from "vitest";
import { type MeshServer, serve } from "./index.js";
import { createMesh, type Mesh } from "./mesh.js";
import { clusterOf, routedTarget, TestControlPlane } from "./testing/index.js";

const transport = createGrpcJsTransport();
const node = { id: "tests-1.shop", namespace: "shop" };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array): string => new TextDecoder().decode(value);

/** A server that answers each call with its own name. */
async function startEcho(name: string): Promise<MeshServer> {
  return serve(
    (router) =>
      router.service(EchoService, {
        echo: () => create(EchoResponseSchema, { payload: bytes(name) }),
        async *echoEach(requests) {
          for await (const { payload } of requests) yield { payload };
        },
      }),
    { transport, host: "127.0.0.1", port: 0 },
  );
}

async function startPlane(): Promise<TestControlPlane> {
  const plane = new TestControlPlane(transport);
  await plane.start();
  return plane;
}

function startMesh(plane: TestControlPlane, more: { readonly snapshotDir?: string } = {}): Promise<Mesh> {
  return createMesh({ transport, controlPlane: plane.address, node, ...more });
}

test("a call finds its way from a name through the control plane to an endpoint", async () => {
  await using plane = await startPlane();
  await using server = await startEcho("one");
  plane.publish([...routedTarget("echo.shop"), ...clusterOf("echo.shop", [{ port: server.port }])]);
  await using mesh = await startMesh(plane);
  const client = createClient(EchoService, mesh.to("echo"));
  expect(mesh.state.value).toEqual({ t: "not ready", reasons: ['target "echo.shop" waits for listener "echo.shop"'] });
  const response = await client.echo({ payload: bytes("hello") }, { timeoutMs: 5_000 });
  expect(text(response.payload)).toBe("one");
  expect(mesh.state.value).toEqual({ t: "ready" });
  expect(mesh.describe()).toMatchObject({
    connected: true,
    version: "1",
    identifier: "test-cluster",
    mtls: "DISABLED",
    targets: [
      { target: "echo.shop", state: "ready", clusters: [{ name: "echo.shop", endpoints: [{ state: "ready" }] }] },
    ],
  });
});

test("a call before the first configuration ends UNAVAILABLE at its deadline and says what is missing", async () => {
  await using plane = await startPlane();
  plane.publish(routedTarget("echo.shop"));
  await using mesh = await startMesh(plane);
  const client = createClient(EchoService, mesh.to("echo"));
  const error = await client.echo({}, { timeoutMs: 200 }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConnectError);
  expect(error).toMatchObject({ code: Code.Unavailable, rawMessage: expect.stringContaining('cluster "echo.shop"') });
});

test("all kinds of streams run through the mesh", async () => {
  await using plane = await startPlane();
  await using server = await startEcho("one");
  plane.publish([...routedTarget("echo.shop"), ...clusterOf("echo.shop", [{ port: server.port }])]);
  await using mesh = await startMesh(plane);
  const client = createClient(EchoService, mesh.to("echo"));
  const input = async function* () {
    for (const word of ["a", "b", "c", "d", "e", "f", "g"]) yield { payload: bytes(word) };
  };
  const answers: string[] = [];
  for await (const { payload } of client.echoEach(input(), { timeoutMs: 5_000 })) answers.push(text(payload));
  expect(answers.join("")).toBe("abcdefg");
});
