import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { credentials, Client as GrpcClient, type Metadata } from "@grpc/grpc-js";
import { ClusterLoadAssignmentSchema } from "@weft/contracts/envoy/config/endpoint/v3";
import {
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
} from "@weft/contracts/envoy/service/discovery/v3";
import { HealthCheckRequestSchema, HealthCheckResponseSchema } from "@weft/contracts/grpc/health/v1";
import { eventually } from "@weft/foundation/testing";
import { adsPath, TypeUrl, unpackAny } from "@weft/xds";
import { expect, test } from "vitest";
import { startControlPlane } from "./testing/cluster.js";
import { MemorySource } from "./testing/memory-source.js";
import { endpointsAre, parent, routeGone, routeIs, serviceIs } from "./testing/objects.js";

/** A stock grpc-js client that accepts whatever it gets. */
function openAds(port: number, id = "pod.shop") {
  const client = new GrpcClient(`127.0.0.1:${port}`, credentials.createInsecure());
  const stream = client.makeBidiStreamRequest(
    adsPath,
    (request: DiscoveryRequest) => Buffer.from(toBinary(DiscoveryRequestSchema, request)),
    (bytes: Buffer) => fromBinary(DiscoveryResponseSchema, bytes),
  );
  const responses: DiscoveryResponse[] = [];
  const wanted = new Map<string, string[]>();
  let ended: { readonly code: number } | undefined;
  const request = (typeUrl: string, response?: DiscoveryResponse): void => {
    stream.write(
      create(DiscoveryRequestSchema, {
        node: { id, metadata: { NAMESPACE: id.slice(id.indexOf(".") + 1) } },
        typeUrl,
        resourceNames: wanted.get(typeUrl) ?? [],
        ...(response === undefined ? {} : { responseNonce: response.nonce, versionInfo: response.versionInfo }),
      }),
    );
  };
  stream.on("data", (response: DiscoveryResponse) => {
    responses.push(response);
    request(response.typeUrl, response);
  });
  stream.on("error", (error: { readonly code: number; readonly metadata: Metadata }) => {
    ended = error;
  });
  return {
    responses,
    ask(type: TypeUrl, ...names: string[]) {
      wanted.set(type, names);
      request(type);
    },
    last: (type: TypeUrl) => responses.findLast(({ typeUrl }) => typeUrl === type),
    ended: () => ended,
    [Symbol.dispose]() {
      stream.cancel();
      client.close();
    },
  };
}

const soon = { ceilingMs: 10_000, everyMs: 2 };

test("nothing is served before everything has been listed once, and the state says what is missing", async () => {
  await using plane = startControlPlane();
  plane.source.apply(serviceIs("catalog"));
  expect(plane.controlPlane.state.value).toEqual({ t: "listing", waitingFor: ["services"] });
  expect(plane.controlPlane.describe()).toEqual({ version: undefined, resources: [], clients: [] });
  plane.source.sync();
  expect(await plane.port()).toBeGreaterThan(0);
  expect(plane.controlPlane.describe().version).toBe("101");
});

test("a stock client gets listener, routes, cluster and endpoints, and hears of changes", async () => {
  await using plane = startControlPlane();
  plane.source.apply(serviceIs("catalog"), endpointsAre("catalog", ["10.0.0.1", "10.0.0.2"]));
  plane.source.sync();
  using ads = openAds(await plane.port());
  const name = "catalog.shop:8080";
  ads.ask(TypeUrl.listener, "catalog.shop");
  ads.ask(TypeUrl.route, name);
  ads.ask(TypeUrl.cluster, name);
  ads.ask(TypeUrl.endpoint, name);
  await eventually(() => ads.responses.length === 4, soon);
  expect(ads.responses.map(({ versionInfo, controlPlane }) => [versionInfo, controlPlane?.identifier])).toEqual(
    Array.from({ length: 4 }, () => ["102", "test-cluster"]),
  );
  const [client] = await eventually(() => {
    const { clients } = plane.controlPlane.describe();
    return clients[0]?.current === true && Object.keys(clients[0].acked).length === 4 && clients;
  }, soon);
  expect(client).toMatchObject({ node: "pod.shop", version: "102", rejected: [] });

  plane.source.apply(endpointsAre("catalog", ["10.0.0.2"]));
  await eventually(() => ads.last(TypeUrl.endpoint)?.versionInfo === "103", soon);
  const assignment = unpackAny(ads.last(TypeUrl.endpoint)?.resources[0], ClusterLoadAssignmentSchema);
  expect(assignment?.endpoints[0]?.lbEndpoints).toHaveLength(1);
  expect(ads.responses).toHaveLength(5);
});

test("a route is told to the clients that it is for, and its outcome is reported", async () => {
  await using plane = startControlPlane();
  plane.source.apply(serviceIs("catalog"), serviceIs("stub.web"));
  plane.source.sync();
  const port = await plane.port();
  using shop = openAds(port);
  using web = openAds(port, "pod.web");
  for (const ads of [shop, web]) ads.ask(TypeUrl.route, "catalog.shop:8080");
  await eventually(() => shop.responses.length === 1 && web.responses.length === 1, soon);
  const parents = [parent("catalog", { namespace: "shop" })];
  plane.source.apply(routeIs("mine.web", { parents, rules: [{ backendRefs: [{ name: "stub", port: 8080 }] }] }));
  await eventually(() => web.responses.length === 2, soon);
  expect([...plane.outcomes].map(([key, [outcome]]) => [key, outcome?.accepted.ok])).toEqual([["web/mine", true]]);
  plane.source.apply(routeGone("mine.web"));
  await eventually(() => web.responses.length === 3, soon);
  expect(shop.responses).toHaveLength(1);
});

test("a route that names no Service (any more) is reported with no outcome, so that what was said of it is taken back", async () => {
  const source = new MemorySource();
  await using plane = startControlPlane({ source });
  source.apply(serviceIs("catalog"), routeIs("r", { parents: [{ name: "gateway" }], rules: [] }));
  source.sync();
  await plane.port();
  await eventually(() => plane.outcomes.size === 1, soon);
  expect([...plane.outcomes]).toEqual([["shop/r", []]]);
});

test("a backend without a name is found when its object is read, where it stops nothing but that object", () => {
  const rules = [{ backendRefs: [{ name: "", port: 1 }] }];
  expect(() => routeIs("r", { rules })).toThrow('"shop/"');
});

test("a replica that knows nothing yet refuses, so that nobody's clusters are emptied by a restart", async () => {
  const source = new MemorySource();
  await using first = startControlPlane({ source });
  source.apply(serviceIs("catalog"));
  source.sync();
  const port = await first.port();
  using ads = openAds(port);
  ads.ask(TypeUrl.cluster);
  await eventually(() => ads.responses.length === 1, soon);
  await first[Symbol.asyncDispose]();
  await eventually(() => ads.ended() !== undefined, soon);
  expect(ads.ended()?.code).toBe(14);

  await using second = startControlPlane({ port });
  using again = openAds(port);
  again.ask(TypeUrl.cluster);
  await eventually(() => again.ended() !== undefined, soon);
  expect(again.ended()?.code).toBe(14);
  expect(again.responses).toEqual([]);
  second.source.sync();
  await second.port();
});

test("a port that is taken fails the control plane instead of leaving it deaf", async () => {
  await using first = startControlPlane();
  first.source.sync();
  await using second = startControlPlane({ port: await first.port() });
  second.source.sync();
  await expect(second.controlPlane.failed).rejects.toThrow();
});

test("health says SERVING, and a drain ends streams so that clients go elsewhere", async () => {
  await using plane = startControlPlane();
  plane.source.sync();
  const port = await plane.port();
  const client = new GrpcClient(`127.0.0.1:${port}`, credentials.createInsecure());
  const check = (service: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        "/grpc.health.v1.Health/Check",
        () => Buffer.from(toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service }))),
        (bytes: Buffer) => fromBinary(HealthCheckResponseSchema, bytes),
        {},
        (error, response) => (error === null ? resolve(response?.status) : reject(error)),
      );
    });
  expect(await check("")).toBe(1);
  expect(await check("envoy.service.discovery.v3.AggregatedDiscoveryService")).toBe(1);
  await expect(check("shop.Nothing")).rejects.toMatchObject({ code: 5 });
  client.close();
  using ads = openAds(port);
  ads.ask(TypeUrl.cluster);
  await eventually(() => ads.responses.length === 1, soon);
  await plane.controlPlane.drain(1_000);
  await eventually(() => ads.ended()?.code === 14, soon);
});
