import type { DiscoveryResponse } from "@weft/contracts/envoy/service/discovery/v3";
import { eventually } from "@weft/foundation/testing";
import { createGrpcJsTransport, StatusCode } from "@weft/wire";
import { startPair } from "@weft/wire/testing";
import { expect, test } from "vitest";
import {
  clusterResource,
  endpointResource,
  listenerResource,
  MemorySnapshots,
  routeResource,
  ScriptedAdsClient,
} from "../testing/index.js";
import { TypeUrl } from "../type-urls.js";
import { createAdsServer } from "./ads-server.js";

const { cluster, endpoint, listener, route } = TypeUrl;

async function start() {
  const snapshots = new MemorySnapshots();
  const server = createAdsServer({ snapshots, identifier: "cluster-1" });
  const pair = await startPair(createGrpcJsTransport(), Object.fromEntries(server.methods));
  return {
    snapshots,
    server,
    connection: pair.connection,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await pair[Symbol.asyncDispose]();
    },
  };
}

const backend = (name: string, lbPolicy = 0) => clusterResource({ name, lbPolicy });
const size = (response: DiscoveryResponse): number => response.resources.length;

const endpointsOf = (clusterName: string, port: number) =>
  endpointResource({
    clusterName,
    endpoints: [
      { locality: {}, lbEndpoints: [{ hostIdentifier: { case: "endpoint", value: { hostname: `host-${port}` } } }] },
    ],
  });

test("a first request is answered with what it names, the version and the control plane", async () => {
  await using ads = await start();
  ads.snapshots.publish("7", [backend("a"), backend("b")]);
  const client = new ScriptedAdsClient(ads.connection);
  client.send({ type: cluster, names: ["b", "missing"] });
  const response = await client.next();
  expect(response).toMatchObject({ versionInfo: "7", typeUrl: cluster, controlPlane: { identifier: "cluster-1" } });
  expect(response.nonce).not.toBe("");
  expect(response.resources.map((any) => any.typeUrl)).toEqual([cluster]);
});

test("an empty first list means every cluster, and an empty list after names means none", async () => {
  await using ads = await start();
  ads.snapshots.publish("1", [backend("a"), backend("b")]);
  const all = new ScriptedAdsClient(ads.connection);
  all.send({ type: cluster });
  const whole = await all.next();
  expect(size(whole)).toBe(2);
  all.ack(whole);

  const named = new ScriptedAdsClient(ads.connection, { node: "named.default" });
  named.send({ type: cluster, names: ["a"] });
  const first = await named.next();
  named.ack(first, []);
  ads.snapshots.publish("2", [backend("a", 1), backend("b")]);
  expect(size(await all.next())).toBe(2);
  // Nothing more for the one that unsubscribed: asking for endpoints is answered next.
  named.send({ type: cluster, names: ["b"], nonce: "stale" });
  named.send({ type: endpoint, names: ["a"] });
  ads.snapshots.publish("3", [endpointsOf("a", 1)]);
  const next = await named.next();
  expect(next.typeUrl).toBe(endpoint);
});

test("an acknowledgement is no reason for another response, a stale one is not even read", async () => {
  await using ads = await start();
  ads.snapshots.publish("1", [endpointsOf("a", 1), endpointsOf("b", 1)]);
  const client = new ScriptedAdsClient(ads.connection);
  client.send({ type: endpoint, names: ["a"] });
  const first = await client.next();
  client.ack(first, ["a"]);
  client.send({ type: endpoint, names: ["b"], nonce: "0" });
  client.send({ type: endpoint, names: ["a", "b"], nonce: first.nonce, version: "1" });
  const second = await client.next();
  expect(size(second)).toBe(1);
  expect(client.received).toBe(2);
});

test("only what changed is sent again, and only to those whom it concerns", async () => {
  await using ads = await start();
  ads.snapshots.publish("1", [endpointsOf("a", 1), endpointsOf("b", 1)]);
  const client = new ScriptedAdsClient(ads.connection);
  client.send({ type: endpoint, names: ["a", "b"] });
  client.ack(await client.next(), ["a", "b"]);
  await eventually(() => ads.server.describe()[0]?.types[0]?.acked === "1", { ceilingMs: 5_000 });
  // Encoded anew but equal: no change.
  ads.snapshots.publish("2", [endpointsOf("a", 1), endpointsOf("b", 1)]);
  ads.snapshots.publish("3", [endpointsOf("a", 1), endpointsOf("b", 2)]);
  const response = await client.next();
  expect(response.versionInfo).toBe("3");
  expect(size(response)).toBe(1);
  client.ack(response, ["a", "b"]);
  await eventually(() => ads.server.describe()[0]?.version === "3", { ceilingMs: 5_000 });
  ads.snapshots.publish("4", [endpointsOf("a", 1), endpointsOf("b", 2), endpointsOf("c", 2)]);
  expect(ads.server.describe()[0]).toMatchObject({ node: { id: "test.default" }, version: "4" });
  expect(ads.server.describe()[0]?.types[0]).toMatchObject({ sent: "3", acked: "3" });
});

test("a rejection is kept and shown, and the client gets the next change all the same", async () => {
  await using ads = await start();
  ads.snapshots.publish("1", [backend("a")]);
  const client = new ScriptedAdsClient(ads.connection);
  client.send({ type: cluster });
  const first = await client.next();
  client.send({ type: cluster, nonce: first.nonce, error: "lb policy is unknown" });
  await eventually(() => ads.server.describe()[0]?.types[0]?.rejection !== undefined, { ceilingMs: 5_000 });
  expect(ads.server.describe()[0]?.types[0]).toMatchObject({
    acked: undefined,
    sent: "1",
    rejection: { version: "1", message: "lb policy is unknown" },
  });
  ads.snapshots.publish("2", [backend("a", 1)]);
  const second = await client.next();
  client.ack(second);
  await eventually(() => ads.server.describe()[0]?.types[0]?.rejection === undefined, { ceilingMs: 5_000 });
});

test("a cluster is there before the route that names it, and stays until no route does", async () => {
  await using ads = await start();
  const routeTo = (name: string) =>
    routeResource({
      name: "r",
      virtualHosts: [
        {
          name: "v",
          domains: ["*"],
          routes: [{ action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: name } } } }],
        },
      ],
    });
  ads.snapshots.publish("1", [backend("old"), endpointsOf("old", 1), listenerResource({ name: "l" }), routeTo("old")]);
  const client = new ScriptedAdsClient(ads.connection);
  client.send({ type: listener });
  client.send({ type: route, names: ["r"] });
  client.send({ type: cluster });
  client.send({ type: endpoint, names: ["old"] });
  for (const names of [[], ["r"], [], ["old"]]) client.ack(await client.next(), names);
  await eventually(() => ads.server.describe()[0]?.version === "1", { ceilingMs: 5_000 });

  ads.snapshots.publish("2", [backend("new"), endpointsOf("new", 1), listenerResource({ name: "l" }), routeTo("new")]);
  const clusters = await client.next();
  expect([clusters.typeUrl, size(clusters)]).toEqual([cluster, 2]);
  client.send({ type: endpoint, names: ["old", "new"], nonce: "4", version: "1" });
  const endpoints = await client.next();
  expect([endpoints.typeUrl, size(endpoints)]).toEqual([endpoint, 1]);
  // The route waits until both are answered.
  client.ack(clusters);
  client.ack(endpoints, ["old", "new"]);
  const routes = await client.next();
  expect(routes.typeUrl).toBe(route);
  expect(client.received).toBe(7);
  client.ack(routes, ["r"]);
  const rest = await client.next();
  expect([rest.typeUrl, size(rest)]).toEqual([cluster, 1]);
});

test("endpoints that change while the last ones are not acknowledged are sent at once", async () => {
  await using ads = await start();
  ads.snapshots.publish("1", [endpointsOf("a", 1)]);
  const client = new ScriptedAdsClient(ads.connection);
  client.send({ type: endpoint, names: ["a"] });
  await client.next();
  ads.snapshots.publish("2", [endpointsOf("a", 2)]);
  expect((await client.next()).versionInfo).toBe("2");
});

test.each([
  ["no message at all", (client: ScriptedAdsClient) => client.sendBytes(Uint8Array.of(255, 255, 255))],
  ["a request without a type", (client: ScriptedAdsClient) => client.send({ type: "" })],
])("a stream that sends %s ends INVALID_ARGUMENT and nobody else notices", async (_, misbehave) => {
  await using ads = await start();
  ads.snapshots.publish("1", [backend("a")]);
  const good = new ScriptedAdsClient(ads.connection);
  good.send({ type: cluster });
  good.ack(await good.next());
  const bad = new ScriptedAdsClient(ads.connection, { node: "bad.default" });
  misbehave(bad);
  expect((await bad.outcome()).status.code).toBe(StatusCode.invalidArgument);
  ads.snapshots.publish("2", [backend("a", 1)]);
  expect((await good.next()).versionInfo).toBe("2");
  expect(ads.server.describe().map((client) => client.node.id)).toEqual(["test.default"]);
});

test("a first request without a node id ends INVALID_ARGUMENT", async () => {
  await using ads = await start();
  ads.snapshots.publish("1", []);
  const client = new ScriptedAdsClient(ads.connection, { node: "" });
  client.send({ type: cluster });
  expect((await client.outcome()).status.code).toBe(StatusCode.invalidArgument);
});

test("before the first snapshot a stream ends UNAVAILABLE instead of being told that nothing exists", async () => {
  await using ads = await start();
  const client = new ScriptedAdsClient(ads.connection);
  client.send({ type: cluster });
  expect((await client.outcome()).status.code).toBe(StatusCode.unavailable);
});

test("a type that is not served is left unanswered", async () => {
  await using ads = await start();
  ads.snapshots.publish("1", [backend("a")]);
  const client = new ScriptedAdsClient(ads.connection);
  client.send({ type: "type.googleapis.com/envoy.service.runtime.v3.Runtime" });
  client.send({ type: cluster });
  expect((await client.next()).typeUrl).toBe(cluster);
});

test("a client that never reads costs one full buffer, and gets the newest when it reads", async () => {
  await using ads = await start();
  const big = (version: number) =>
    endpointResource({ clusterName: "a", endpoints: [{ locality: { region: `${version}${"x".repeat(100_000)}` } }] });
  ads.snapshots.publish("1", [big(1)]);
  const slow = new ScriptedAdsClient(ads.connection, { read: 0 });
  slow.send({ type: endpoint, names: ["a"] });
  const sent = () => Number(ads.server.describe()[0]?.types[0]?.sent ?? 0);
  await eventually(() => sent() === 1, { ceilingMs: 5_000 });
  const last = 400;
  for (let version = 2; version <= last; version += 1) {
    ads.snapshots.publish(String(version), [big(version)]);
  }
  // 400 responses of 100 kB were due; most were never written.
  expect(sent()).toBeLessThan(last);
  slow.read(Number.MAX_SAFE_INTEGER);
  await eventually(() => sent() === last, { ceilingMs: 10_000 });
  await eventually(() => slow.received > 0, { ceilingMs: 10_000 });
  expect(slow.received).toBeLessThan(last);
});

test("disposing ends every stream UNAVAILABLE", async () => {
  await using ads = await start();
  ads.snapshots.publish("1", [backend("a")]);
  const client = new ScriptedAdsClient(ads.connection);
  client.send({ type: cluster });
  await client.next();
  await ads.server[Symbol.asyncDispose]();
  expect((await client.outcome()).status.code).toBe(StatusCode.unavailable);
  expect(ads.server.describe()).toEqual([]);
});
