import { silentLogger, systemClock, WatchSource } from "@weft/foundation";
import { eventually } from "@weft/foundation/testing";
import { kinds } from "@weft/kube";
import { createGrpcJsTransport } from "@weft/wire";
import { expect, test } from "vitest";
import { createControlPlane } from "./control-plane.js";
import { createKubeSource } from "./source/kube-source.js";
import { createKubeStatusWriter } from "./status/kube-status-writer.js";
import { controllerName } from "./status/route-conditions.js";
import { type MiniKube, startMiniKube } from "./testing/mini-kube.js";
import { routeObject, serviceObject, sliceObject } from "./testing/objects.js";

const soon = { ceilingMs: 10_000, everyMs: 5 };

async function start(prepare: (kube: MiniKube) => void = () => {}) {
  const kube = await startMiniKube();
  kube.put(kinds.namespace, { metadata: { name: "kube-system", uid: "cluster-1" } });
  prepare(kube);
  const { client } = kube;
  const tools = { client, clock: systemClock, logger: silentLogger };
  const leading = new WatchSource(true);
  const status = createKubeStatusWriter({ ...tools, leading });
  const controlPlane = createControlPlane({
    source: createKubeSource(tools),
    status,
    transport: createGrpcJsTransport(),
    host: "127.0.0.1",
    port: 0,
  });
  return {
    kube,
    controlPlane,
    leading,
    serving: () => controlPlane.state.until(({ t }) => t === "serving", AbortSignal.timeout(10_000)),
    resources: () => controlPlane.describe().resources.map(({ type, name }) => `${type} ${name}`),
    async [Symbol.asyncDispose]() {
      await controlPlane[Symbol.asyncDispose]();
      await status[Symbol.asyncDispose]();
      await kube[Symbol.asyncDispose]();
    },
  };
}

/** The conditions of a route's parent that are ours: `Accepted True Accepted`. */
function conditions(kube: MiniKube, name: string): string[] {
  const parents = kube.get(kinds.grpcRoute, name, "shop")?.status?.parents ?? [];
  return parents
    .filter((parent) => parent.controllerName === controllerName)
    .flatMap((parent) => parent.conditions ?? [])
    .map(({ type, status, reason }) => `${type} ${status} ${reason}`);
}

const route = (name: string, rules: readonly object[]) => ({ ...routeObject(name, { rules }) });
const toCatalog = { backendRefs: [{ name: "catalog", port: 8080 }] };

test("objects that are there, come and go are what is published", async () => {
  await using world = await start((kube) => {
    kube.put(kinds.service, { ...serviceObject("catalog") });
    kube.put(kinds.endpointSlice, { ...sliceObject("catalog", ["10.0.0.1"]) });
  });
  await world.serving();
  expect(world.resources()).toContain("Listener catalog.shop");
  world.kube.put(kinds.service, { ...serviceObject("orders") });
  await eventually(() => world.resources().includes("Listener orders.shop"), soon);
  world.kube.remove(kinds.service, "catalog", "shop");
  await eventually(() => !world.resources().includes("Listener catalog.shop"), soon);
  expect(BigInt(world.controlPlane.describe().version ?? 0)).toBeGreaterThan(1_000n);
});

test("while one kind can't be listed nothing is served, and the state names it", async () => {
  await using world = await start((kube) => kube.setBroken(kinds.referenceGrant, true));
  await eventually(() => {
    const state = world.controlPlane.state.value;
    return state.t === "listing" && state.waitingFor.join() === "referencegrants";
  }, soon);
  world.kube.setBroken(kinds.referenceGrant, false);
  await world.serving();
});

test("what became of a route is written to its status, once", async () => {
  await using world = await start((kube) => kube.put(kinds.service, { ...serviceObject("catalog") }));
  await world.serving();
  const { kube } = world;
  kube.put(kinds.grpcRoute, route("good", [toCatalog]));
  kube.put(
    kinds.grpcRoute,
    route("lost", [{ matches: [{ headers: [{ name: "x", value: "1" }] }], backendRefs: [{ name: "gone", port: 1 }] }]),
  );
  kube.put(
    kinds.grpcRoute,
    route("wrong", [{ matches: [{ headers: [{ type: "RegularExpression", name: "x", value: "(" }] }], ...toCatalog }]),
  );
  kube.put(kinds.grpcRoute, {
    ...route("younger", [toCatalog]),
    metadata: { name: "younger", namespace: "shop", creationTimestamp: "2027-01-01T00:00:00Z" },
  });
  await eventually(
    () => ["good", "lost", "wrong", "younger"].every((name) => conditions(kube, name).length === 2),
    soon,
  );
  expect(conditions(kube, "good")).toEqual(["Accepted True Accepted", "ResolvedRefs True ResolvedRefs"]);
  expect(conditions(kube, "lost")).toEqual(["Accepted True Accepted", "ResolvedRefs False BackendNotFound"]);
  expect(conditions(kube, "wrong")).toEqual(["Accepted False UnsupportedValue", "ResolvedRefs True ResolvedRefs"]);
  expect(conditions(kube, "younger")).toEqual(["Accepted False RouteConflict", "ResolvedRefs True ResolvedRefs"]);
  const writes = kube.statusWrites;
  // Their own writes come back as changes; a later write shows that those have been dealt with.
  kube.put(kinds.service, { ...serviceObject("gone", { grpc: 1 }) });
  await eventually(() => conditions(kube, "lost")[1] === "ResolvedRefs True ResolvedRefs", soon);
  expect(kube.statusWrites).toBe(writes + 1);
});

test("a rival's write in between is read again, and its entry stays", async () => {
  await using world = await start((kube) => kube.put(kinds.service, { ...serviceObject("catalog") }));
  await world.serving();
  const { kube } = world;
  const rival = { parentRef: { name: "edge" }, controllerName: "example.com/gateway", conditions: [] };
  const written = route("good", [toCatalog]);
  kube.interfere(() => kube.put(kinds.grpcRoute, { ...written, status: { parents: [rival] } }));
  kube.put(kinds.grpcRoute, written);
  await eventually(() => conditions(kube, "good").length === 2, soon);
  expect(kube.get(kinds.grpcRoute, "good", "shop")?.status?.parents.map((parent) => parent.controllerName)).toEqual([
    "example.com/gateway",
    controllerName,
  ]);
});

test("a status that somebody wiped is written again", async () => {
  await using world = await start((kube) => kube.put(kinds.service, { ...serviceObject("catalog") }));
  await world.serving();
  world.kube.put(kinds.grpcRoute, route("good", [toCatalog]));
  await eventually(() => conditions(world.kube, "good").length === 2, soon);
  world.kube.put(kinds.grpcRoute, route("good", [toCatalog]));
  expect(conditions(world.kube, "good")).toEqual([]);
  await eventually(() => conditions(world.kube, "good").length === 2, soon);
});

test("who does not lead writes nothing, and who begins to lead writes what is not said yet", async () => {
  await using world = await start((kube) => kube.put(kinds.service, { ...serviceObject("catalog") }));
  await world.serving();
  const { kube, leading } = world;
  leading.set(false);
  kube.put(kinds.grpcRoute, route("first", [toCatalog]));
  kube.put(kinds.service, { ...serviceObject("marker") });
  await eventually(() => world.resources().includes("Listener marker.shop"), soon);
  expect(kube.statusWrites).toBe(0);
  leading.set(true);
  await eventually(() => conditions(kube, "first").length === 2, soon);
  expect(kube.statusWrites).toBe(1);
  leading.set(false);
  leading.set(true);
  kube.put(kinds.grpcRoute, route("second", [{ matches: [{ headers: [{ name: "x", value: "1" }] }], ...toCatalog }]));
  await eventually(() => conditions(kube, "second").length === 2, soon);
  expect(kube.statusWrites).toBe(2);
});

test("while one watch is broken no higher version is claimed; what the others say is published all the same", async () => {
  await using world = await start((kube) => kube.put(kinds.service, { ...serviceObject("catalog") }));
  await world.serving();
  const { kube } = world;
  const version = () => Number(world.controlPlane.describe().version);
  const newestVersion = () => Number(kube.get(kinds.service, "catalog", "shop")?.metadata.resourceVersion);
  kube.setBroken(kinds.endpointSlice, true);
  await eventually(() => {
    for (let n = 0; n < 100; n += 1) kube.put(kinds.service, { ...serviceObject("catalog", { grpc: 8000 + n }) });
    return newestVersion() - version() > 500;
  }, soon);
  await eventually(() => world.resources().includes("Listener catalog.shop:8099"), soon);
  expect(newestVersion() - version()).toBeGreaterThan(500);
  kube.setBroken(kinds.endpointSlice, false);
  await eventually(() => {
    kube.put(kinds.service, { ...serviceObject("catalog") });
    return version() > newestVersion() - 10;
  }, soon);
});
