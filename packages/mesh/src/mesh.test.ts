import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { EchoService } from "@weft/contracts/weft/bench/v1";
import type { LogFields, Logger } from "@weft/foundation";
import { eventually } from "@weft/foundation/testing";
import { createGrpcJsTransport } from "@weft/wire";
import { expect, test } from "vitest";
import { createMesh, type Mesh, type MeshOptions } from "./mesh.js";
import { serve } from "./server/serve.js";
import { bytesOf, startEcho, textOf } from "./testing/echo.js";
import { clusterOf, type RouteInit, routedTarget, routeTo, serverListener, TestControlPlane } from "./testing/index.js";

const transport = createGrpcJsTransport();
const node = { id: "tests-1.shop", namespace: "shop" };
const soon = { timeoutMs: 5_000 };

async function startPlane(): Promise<TestControlPlane> {
  const plane = new TestControlPlane(transport);
  await plane.start();
  return plane;
}

function startMesh(plane: TestControlPlane, more: Partial<MeshOptions> = {}): Promise<Mesh> {
  return createMesh({ transport, controlPlane: plane.address, node, ...more });
}

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "weft-mesh-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A logger that keeps its warnings. */
function listeningLogger(): Logger & { readonly warnings: { message: string; fields: LogFields | undefined }[] } {
  const warnings: { message: string; fields: LogFields | undefined }[] = [];
  const logger = {
    warnings,
    debug() {},
    info() {},
    warn: (message: string, fields?: LogFields) => void warnings.push({ message, fields }),
    error() {},
    child: () => logger,
  };
  return logger;
}

test("a call finds its way from a name through the control plane to an endpoint", async () => {
  await using plane = await startPlane();
  await using server = await startEcho(transport, "one");
  plane.publish([...routedTarget("echo.shop"), ...clusterOf("echo.shop", [{ port: server.port }])]);
  await using mesh = await startMesh(plane);
  const client = createClient(EchoService, mesh.to("echo"));
  expect(mesh.state.value).toEqual({
    t: "not ready",
    reasons: ['target "echo.shop" waits for listener "echo.shop"'],
  });
  const response = await client.echo({ payload: bytesOf("hello") }, soon);
  expect(textOf(response.payload)).toBe("one");
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
  await mesh.state.until(
    (state) => state.t === "not ready" && state.reasons.join().includes("cluster"),
    AbortSignal.timeout(5_000),
  );
  const error = await client.echo({}, { timeoutMs: 100 }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConnectError);
  expect(error).toMatchObject({ code: Code.Unavailable, rawMessage: expect.stringContaining('cluster "echo.shop"') });
});

test("a name that the control plane does not have fails the call at once", async () => {
  await using plane = await startPlane();
  plane.publish([]);
  await using mesh = await startMesh(plane);
  const client = createClient(EchoService, mesh.to("nowhere"));
  await expect(client.echo({}, soon)).rejects.toMatchObject({
    code: Code.Unavailable,
    rawMessage: 'listener "nowhere.shop" does not exist',
  });
});

test("streams run through the mesh both ways, with more messages than any buffer holds", async () => {
  await using plane = await startPlane();
  await using server = await startEcho(transport, "one");
  plane.publish([...routedTarget("echo.shop"), ...clusterOf("echo.shop", [{ port: server.port }])]);
  await using mesh = await startMesh(plane);
  const client = createClient(EchoService, mesh.to("echo"));
  const input = async function* () {
    for (let n = 0; n < 200; n += 1) yield { payload: new Uint8Array(10_000).fill(n) };
  };
  let seen = 0;
  for await (const { payload } of client.echoEach(input(), { timeoutMs: 20_000 })) {
    expect(payload[0]).toBe(seen % 256);
    seen += 1;
  }
  expect(seen).toBe(200);
});

test("weights spread calls within 3 % over 2,000, a header rule beats them, and moving them fails no call", async () => {
  await using plane = await startPlane();
  await using stable = await startEcho(transport, "stable");
  await using canary = await startEcho(transport, "canary");
  const clusters = [...clusterOf("stable", [{ port: stable.port }]), ...clusterOf("canary", [{ port: canary.port }])];
  const split = (weights: readonly [number, number]): RouteInit[] => [
    {
      match: {
        pathSpecifier: { case: "prefix", value: "/" },
        headers: [
          {
            name: "x-canary",
            headerMatchSpecifier: { case: "stringMatch", value: { matchPattern: { case: "exact", value: "yes" } } },
          },
        ],
      },
      action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: "canary" } } },
    },
    {
      match: { pathSpecifier: { case: "prefix", value: "/" } },
      action: {
        case: "route",
        value: {
          clusterSpecifier: {
            case: "weightedClusters",
            value: {
              clusters: [
                { name: "stable", weight: weights[0] },
                { name: "canary", weight: weights[1] },
              ],
            },
          },
        },
      },
    },
  ];
  plane.publish([...routedTarget("echo.shop", split([100, 0])), ...clusters]);
  await using mesh = await startMesh(plane);
  const client = createClient(EchoService, mesh.to("echo"));
  const share = async (calls: number): Promise<number> => {
    let hits = 0;
    for (let n = 0; n < calls; n += 50) {
      const batch = await Promise.all(Array.from({ length: 50 }, () => client.echo({}, soon)));
      hits += batch.filter(({ payload }) => textOf(payload) === "canary").length;
    }
    return hits / calls;
  };
  expect(await share(100)).toBe(0);
  plane.publish([...routedTarget("echo.shop", split([90, 10])), ...clusters]);
  await eventually(async () => (await share(100)) > 0, { ceilingMs: 5_000 });
  expect(Math.abs((await share(2_000)) - 0.1)).toBeLessThan(0.03);
  for (let n = 0; n < 20; n += 1) {
    expect(textOf((await client.echo({}, { ...soon, headers: { "x-canary": "yes" } })).payload)).toBe("canary");
  }
});

test("routes that name what is not known yet do not replace those in use, and calls never wait for them", async () => {
  await using plane = await startPlane();
  await using server = await startEcho(transport, "one");
  const old = [...routedTarget("echo.shop"), ...clusterOf("echo.shop", [{ port: server.port }])];
  plane.publish(old);
  await using mesh = await startMesh(plane);
  const client = createClient(EchoService, mesh.to("echo"));
  await client.echo({}, soon);
  // The routes change to a cluster whose endpoints never come.
  const next = [...routedTarget("echo.shop", [routeTo("new")]), ...clusterOf("new", []).slice(0, 1)];
  plane.publish([...next, ...clusterOf("echo.shop", [{ port: server.port }])]);
  await eventually(() => mesh.describe().version === "2", { ceilingMs: 5_000 });
  for (let n = 0; n < 20; n += 1) expect(textOf((await client.echo({}, soon)).payload)).toBe("one");
  await using other = await startEcho(transport, "two");
  plane.publish([...routedTarget("echo.shop", [routeTo("new")]), ...clusterOf("new", [{ port: other.port }])]);
  await eventually(async () => textOf((await client.echo({}, soon)).payload) === "two", { ceilingMs: 5_000 });
  expect(mesh.describe().targets[0]?.clusters.map(({ name }) => name)).toEqual(["new"]);
});

test("a route with a regular expression that is none is refused with the reason, and the old routes stay", async () => {
  await using plane = await startPlane();
  await using server = await startEcho(transport, "one");
  const cluster = clusterOf("echo.shop", [{ port: server.port }]);
  plane.publish([...routedTarget("echo.shop"), ...cluster]);
  await using mesh = await startMesh(plane);
  const client = createClient(EchoService, mesh.to("echo"));
  await client.echo({}, soon);
  const bad: RouteInit = {
    match: { pathSpecifier: { case: "safeRegex", value: { regex: "(unclosed" } } },
    action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: "elsewhere" } } },
  };
  plane.publish([...routedTarget("echo.shop", [bad]), ...cluster]);
  const refused = await eventually(() => mesh.describe().resources.find(({ error }) => error !== undefined), {
    ceilingMs: 5_000,
  });
  expect(refused).toMatchObject({ type: "RouteConfiguration", name: "echo.shop", state: "present" });
  expect(refused.error).toContain("(unclosed");
  expect(textOf((await client.echo({}, soon)).payload)).toBe("one");
});

test("with the control plane gone calls go on; restarted with an older snapshot it takes nothing away", async () => {
  await using plane = await startPlane();
  await using server = await startEcho(transport, "one");
  plane.publish([...routedTarget("echo.shop"), ...clusterOf("echo.shop", [{ port: server.port }])], 10);
  await using mesh = await startMesh(plane);
  const client = createClient(EchoService, mesh.to("echo"));
  await client.echo({}, soon);
  await plane.stop();
  await eventually(() => !mesh.describe().connected, { ceilingMs: 5_000 });
  for (let n = 0; n < 20; n += 1) await client.echo({}, soon);
  plane.publish([], 9);
  await plane.start();
  await eventually(() => mesh.describe().connected, { ceilingMs: 10_000 });
  for (let n = 0; n < 20; n += 1) await client.echo({}, soon);
  expect(mesh.describe().version).toBe("10");
  await using second = await startEcho(transport, "two");
  plane.publish([...routedTarget("echo.shop"), ...clusterOf("echo.shop", [{ port: second.port }])], 11);
  await eventually(async () => textOf((await client.echo({}, soon)).payload) === "two", { ceilingMs: 5_000 });
});

test("a restarted process goes on from its snapshot without any control plane", async () => {
  await using folder = await temporaryFolder();
  const snapshotDir = join(folder.path, "snapshot");
  await using server = await startEcho(transport, "one");
  await using plane = await startPlane();
  plane.publish([...routedTarget("echo.shop"), ...clusterOf("echo.shop", [{ port: server.port }])], 7);
  {
    await using mesh = await startMesh(plane, { snapshotDir });
    await createClient(EchoService, mesh.to("echo")).echo({}, soon);
  }
  await plane.stop();
  expect((await stat(snapshotDir)).mode & 0o777).toBe(0o700);
  expect(await readdir(snapshotDir)).toEqual(["mesh-snapshot.json"]);
  await using mesh = await startMesh(plane, { snapshotDir });
  const client = createClient(EchoService, mesh.to("echo"));
  expect(mesh.state.value).toEqual({ t: "ready" });
  expect(textOf((await client.echo({}, soon)).payload)).toBe("one");
  expect(mesh.describe()).toMatchObject({ connected: false, version: "7", identifier: "test-cluster" });
});

test("a damaged snapshot is ignored with one warning", async () => {
  await using folder = await temporaryFolder();
  await using plane = await startPlane();
  await using server = await startEcho(transport, "one");
  plane.publish([...routedTarget("echo.shop"), ...clusterOf("echo.shop", [{ port: server.port }])]);
  await writeFile(join(folder.path, "mesh-snapshot.json"), '{"format":1,"sha256":"0"}\n{"types":[]}\n');
  const logger = listeningLogger();
  await using mesh = await startMesh(plane, { snapshotDir: folder.path, logger });
  await createClient(EchoService, mesh.to("echo")).echo({}, soon);
  expect(logger.warnings.map(({ message }) => message)).toEqual(["saved snapshot ignored"]);
});

test("interceptors see the call, its headers and its answer", async () => {
  await using plane = await startPlane();
  await using server = await startEcho(transport, "one");
  plane.publish([...routedTarget("echo.shop"), ...clusterOf("echo.shop", [{ port: server.port }])]);
  await using mesh = await startMesh(plane);
  const seen: string[] = [];
  const interceptor: Interceptor = (next) => async (request) => {
    request.header.set("x-seen", "yes");
    const response = await next(request);
    seen.push(`${request.method.name} ${response.trailer instanceof Headers}`);
    return { ...response };
  };
  const client = createClient(EchoService, mesh.to("echo", { interceptors: [interceptor] }));
  expect(textOf((await client.echo({}, soon)).payload)).toBe("one");
  const words = async function* () {
    yield { payload: bytesOf("a") };
  };
  for await (const { payload } of client.echoEach(words(), soon)) expect(textOf(payload)).toBe("a");
  expect(seen).toEqual(["Echo true", "EchoEach true"]);
});

test("a process that only serves is not ready until a control plane has answered, and then from its snapshot on", async () => {
  await using folder = await temporaryFolder();
  await using plane = await startPlane();
  await plane.stop();
  const routes = (): void => {};
  const at = { host: "127.0.0.1", port: 0 };
  {
    await using mesh = await startMesh(plane, { snapshotDir: folder.path });
    const server = await mesh.serve(routes, at);
    const name = `grpc/server?xds.resource.listening_address=127.0.0.1:${server.port}`;
    expect(mesh.state.value).toEqual({ t: "not ready", reasons: [`server waits for listener "${name}"`] });
    plane.publish([serverListener("127.0.0.1", server.port)]);
    await plane.start();
    await mesh.state.until((state) => state.t === "ready", AbortSignal.timeout(10_000));
    Object.assign(at, { port: server.port });
  }
  await plane.stop();
  await using mesh = await startMesh(plane, { snapshotDir: folder.path });
  await mesh.serve(routes, at);
  expect(mesh.state.value).toEqual({ t: "ready" });
});

test("a target outside the mesh is found by name lookup alone", async () => {
  await using server = await startEcho(transport, "outside");
  await using mesh = await createMesh({ transport, node });
  const client = createClient(EchoService, mesh.to(`dns:///127.0.0.1:${server.port}`));
  expect(textOf((await client.echo({}, soon)).payload)).toBe("outside");
});

test("a process without a control plane says so to calls into the mesh", async () => {
  await using mesh = await createMesh({ transport, node });
  const client = createClient(EchoService, mesh.to("echo"));
  await expect(client.echo({}, { timeoutMs: 50 })).rejects.toMatchObject({
    code: Code.Unavailable,
    rawMessage: expect.stringContaining("started without one"),
  });
});

test("a name that is no target is refused where it is written", async () => {
  await using mesh = await createMesh({ transport, node });
  expect(() => mesh.to("Not A Name")).toThrow(TypeError);
});

test("a server that asks to be left alone is left alone, over a real connection", async () => {
  await using plane = await startPlane();
  const times: number[] = [];
  const seen: (string | null)[] = [];
  await using server = await serve(
    (router) =>
      router.service(EchoService, {
        echo(_request, context) {
          times.push(performance.now());
          seen.push(context.requestHeader.get("grpc-previous-rpc-attempts"));
          if (times.length > 1) return { payload: bytesOf("rested") };
          throw new ConnectError("busy", Code.Unavailable, { "grpc-retry-pushback-ms": "400" });
        },
      }),
    { transport, host: "127.0.0.1", port: 0 },
  );
  plane.publish([...routedTarget("echo.shop"), ...clusterOf("echo.shop", [{ port: server.port }])]);
  await using mesh = await startMesh(plane);
  const { payload } = await createClient(EchoService, mesh.to("echo")).echo({}, soon);
  expect(textOf(payload)).toBe("rested");
  expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(390);
  expect(seen).toEqual([null, "1"]);
});
