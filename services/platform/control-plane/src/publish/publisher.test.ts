import { create } from "@bufbuild/protobuf";
import { type Node, NodeSchema } from "@weft/contracts/envoy/config/core/v3";
import { silentLogger } from "@weft/foundation";
import { FakeClock } from "@weft/foundation/testing";
import { TypeUrl } from "@weft/xds";
import { expect, test } from "vitest";
import { MeshIndex } from "../index/mesh-index.js";
import type { Change } from "../source/source.js";
import { endpointsAre, parent, routeIs, serviceGone, serviceIs } from "../testing/objects.js";
import { edsCluster } from "../translate/cluster.js";
import { translateService } from "../translate/translate.js";
import { danglingNames } from "./consistency.js";
import { Publisher } from "./publisher.js";
import { ResourceSet } from "./resource-set.js";

const nodeOf = (namespace: string): Node =>
  create(NodeSchema, { id: `pod.${namespace}`, metadata: { NAMESPACE: namespace } });

function start() {
  const clock = new FakeClock();
  const index = new MeshIndex();
  let version = 10n;
  const publisher = new Publisher({
    clock,
    logger: silentLogger,
    translate: (key) => translateService(index, key),
    version: () => version,
  });
  let published = 0;
  publisher.watch(() => {
    published += 1;
  });
  return {
    clock,
    publisher,
    count: () => published,
    raise: (to: bigint) => {
      version = to;
    },
    apply(...changes: readonly Change[]) {
      for (const change of changes) {
        version += 1n;
        const { services, urgent } = index.apply(change);
        publisher.touch(services, urgent);
      }
    },
  };
}

test("there is no snapshot before start, and one of everything after", () => {
  const { publisher, apply } = start();
  apply(serviceIs("catalog"), endpointsAre("catalog", ["10.0.0.1"]));
  expect(publisher.snapshotFor(nodeOf("shop"))).toBeUndefined();
  publisher.start();
  const snapshot = publisher.snapshotFor(nodeOf("shop"));
  expect(snapshot?.version).toBe("12");
  expect([...(snapshot?.all(TypeUrl.cluster) ?? [])].map(({ name }) => name)).toEqual([
    "no-backend",
    "catalog.shop:8080",
  ]);
});

test("changes are collected for a moment, the loss of an address is not", async () => {
  const { publisher, apply, clock, count } = start();
  publisher.start();
  apply(serviceIs("catalog"), serviceIs("orders"), endpointsAre("catalog", ["10.0.0.1", "10.0.0.2"]));
  expect(count()).toBe(1);
  await clock.advance(5);
  expect(count()).toBe(2);
  apply(serviceIs("carts"), endpointsAre("catalog", ["10.0.0.1"]));
  expect(count()).toBe(3);
  expect(publisher.version).toBe("15");
  await clock.advance(100);
  expect(count()).toBe(3);
  expect(clock.pendingTimers).toBe(0);
});

test("what arrives late, behind the newest version, is published under a version of its own", async () => {
  const { publisher, apply, clock, raise } = start();
  publisher.start();
  apply(serviceIs("catalog"), serviceIs("orders"));
  await clock.advance(5);
  expect(publisher.version).toBe("12");
  raise(40n);
  expect(publisher.snapshotFor(nodeOf("shop"))?.version).toBe("40");
  apply(serviceGone("orders"));
  raise(40n);
  await clock.advance(5);
  const snapshot = publisher.snapshotFor(nodeOf("shop"));
  expect(snapshot?.version).toBe("41");
  expect(snapshot?.get(TypeUrl.cluster, "orders.shop:8080")).toBeUndefined();
  apply(serviceIs("catalog"));
  raise(41n);
  await clock.advance(5);
  expect(publisher.snapshotFor(nodeOf("shop"))?.version).toBe("41");
});

test("what did not change keeps its very encoding", async () => {
  const { publisher, apply, clock } = start();
  publisher.start();
  apply(serviceIs("catalog"), serviceIs("orders"));
  await clock.advance(5);
  const get = (name: string) => publisher.snapshotFor(nodeOf("shop"))?.get(TypeUrl.endpoint, name);
  const [catalog, orders] = [get("catalog.shop:8080"), get("orders.shop:8080")];
  apply(endpointsAre("catalog", ["10.0.0.1"]));
  await clock.advance(5);
  expect(get("orders.shop:8080")).toBe(orders);
  expect(get("catalog.shop:8080")).not.toBe(catalog);
});

test("the version follows what is known without a publication, never goes down, and never runs ahead of what waits", async () => {
  const { publisher, apply, raise, clock, count } = start();
  publisher.start();
  const version = () => publisher.snapshotFor(nodeOf("shop"))?.version;
  expect(version()).toBe("10");
  raise(20n);
  expect(version()).toBe("20");
  raise(15n);
  expect(version()).toBe("20");
  raise(30n);
  apply(serviceIs("catalog"));
  expect(version()).toBe("20");
  await clock.advance(5);
  expect(version()).toBe("31");
  expect(count()).toBe(2);
});

test("consumer routes are in the snapshot of their namespace alone", async () => {
  const { publisher, apply, clock } = start();
  publisher.start();
  const parents = [parent("catalog", { namespace: "shop" })];
  apply(
    serviceIs("catalog"),
    serviceIs("stub.web"),
    routeIs("r.web", { parents, rules: [{ backendRefs: [{ name: "stub", port: 8080 }] }] }),
  );
  await clock.advance(5);
  const routes = (namespace: string) =>
    Buffer.from(
      publisher.snapshotFor(nodeOf(namespace))?.get(TypeUrl.route, "catalog.shop:8080")?.field ?? [],
    ).toString("latin1");
  expect(routes("web")).toContain("stub.web:8080");
  expect(routes("shop")).not.toContain("stub.web:8080");
});

test.each([
  ["grpc/server?xds.resource.listening_address=0.0.0.0:8080", true],
  ["grpc/server?xds.resource.listening_address=[::]:8080", true],
  ["grpc/server?xds.resource.listening_address=10.0.0.7:0", false],
  ["grpc/server?xds.resource.listening_address=localhost:80", false],
  ["catalog.shop:8080", false],
])("the listener of a server, %s, is made on request: %s", (name, exists) => {
  const { publisher } = start();
  publisher.start();
  const snapshot = publisher.snapshotFor(nodeOf("shop"));
  expect(snapshot?.get(TypeUrl.listener, name) !== undefined).toBe(exists);
  expect([...(snapshot?.all(TypeUrl.listener) ?? [])]).toEqual([]);
});

test("a set that names what does not exist is told of and not published", () => {
  const set = new ResourceSet();
  const index = new MeshIndex();
  const [key] = index.apply(serviceIs("catalog")).services;
  if (key === undefined) throw new Error("nothing touched");
  const good = translateService(index, key);
  set.put(key, { ...good, clusters: [] });
  expect(danglingNames(set.freeze())).toEqual([
    'ClusterLoadAssignment "catalog.shop:8080" names Cluster "catalog.shop:8080", which does not exist',
    'RouteConfiguration "catalog.shop:8080" names Cluster "catalog.shop:8080", which does not exist',
  ]);
  const errors: string[] = [];
  let version = 1n;
  let current = good;
  const publisher = new Publisher({
    clock: new FakeClock(),
    logger: { ...silentLogger, error: (message) => void errors.push(message) },
    translate: () => current,
    version: () => version,
  });
  const names = () =>
    [...(publisher.snapshotFor(nodeOf("shop"))?.all(TypeUrl.cluster) ?? [])].map(({ name }) => name).join();
  publisher.touch([key], false);
  publisher.start();
  version = 2n;
  current = { ...good, clusters: [edsCluster("other")] };
  publisher.touch([key], true);
  expect(errors).toHaveLength(1);
  expect(names()).toBe("no-backend,catalog.shop:8080");
  expect(publisher.snapshotFor(nodeOf("shop"))?.version).toBe("1");
  version = 3n;
  current = good;
  publisher.touch([key], true);
  expect(publisher.snapshotFor(nodeOf("shop"))?.version).toBe("3");
});
