import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import {
  ClusterSchema,
  Cluster_DiscoveryType as Discovery,
  Cluster_LbPolicy as LbPolicy,
} from "@weft/contracts/envoy/config/cluster/v3";
import { HealthStatus, SocketAddress_Protocol as Protocol } from "@weft/contracts/envoy/config/core/v3";
import { ClusterLoadAssignmentSchema } from "@weft/contracts/envoy/config/endpoint/v3";
import { ListenerSchema } from "@weft/contracts/envoy/config/listener/v3";
import { HttpConnectionManagerSchema } from "@weft/contracts/envoy/extensions/filters/network/http_connection_manager/v3";
import { LeastRequestSchema } from "@weft/contracts/envoy/extensions/load_balancing_policies/least_request/v3";
import { RoundRobinSchema } from "@weft/contracts/envoy/extensions/load_balancing_policies/round_robin/v3";
import fc from "fast-check";
import { expect, test } from "vitest";
import { clusterType } from "./cluster.js";
import { endpointsType } from "./endpoints.js";
import { listenerType } from "./listener.js";
import { routeConfigType } from "./route-config.js";

function packed<D extends DescMessage>(schema: D, init: MessageInitShape<D>) {
  const value = toBinary(schema, create(schema, init));
  return create(AnySchema, { typeUrl: `type.googleapis.com/${schema.typeName}`, value });
}

const ads = { configSourceSpecifier: { case: "ads" as const, value: {} } };

function cluster(more: MessageInitShape<typeof ClusterSchema>) {
  const init = {
    name: "c",
    clusterDiscoveryType: { case: "type" as const, value: Discovery.EDS },
    edsClusterConfig: { edsConfig: ads },
    ...more,
  };
  return clusterType.parse(
    toBinary(ClusterSchema, create(ClusterSchema, init as MessageInitShape<typeof ClusterSchema>)),
  );
}

function policies(...configs: ReturnType<typeof packed>[]) {
  return { policies: configs.map((typedConfig) => ({ typedExtensionConfig: { name: "p", typedConfig } })) };
}

test("a cluster says where its endpoints are and how calls are spread", () => {
  expect(cluster({ lbPolicy: LbPolicy.ROUND_ROBIN })).toEqual({
    ok: true,
    name: "c",
    value: { endpointsName: "c", balancer: { name: "round_robin" }, connectTimeoutMs: 5_000 },
  });
  expect(
    cluster({
      lbPolicy: LbPolicy.LEAST_REQUEST,
      lbConfig: { case: "leastRequestLbConfig", value: { choiceCount: 50 } },
      edsClusterConfig: { edsConfig: ads, serviceName: "elsewhere" },
      connectTimeout: { seconds: 2n, nanos: 500_000_000 },
    }),
  ).toMatchObject({
    value: { endpointsName: "elsewhere", balancer: { name: "least_request", choices: 10 }, connectTimeoutMs: 2_500 },
  });
});

test("of a list of policies the first that is known is taken, and a list without one is refused", () => {
  const unknown = create(AnySchema, { typeUrl: "type.googleapis.com/envoy.Nobody", value: new Uint8Array() });
  const known = packed(LeastRequestSchema, { choiceCount: 3 });
  expect(cluster({ loadBalancingPolicy: policies(unknown, known, packed(RoundRobinSchema, {})) })).toMatchObject({
    value: { balancer: { name: "least_request", choices: 3 } },
  });
  expect(cluster({ loadBalancingPolicy: policies(unknown) })).toMatchObject({
    ok: false,
    name: "c",
    error: expect.stringContaining("envoy.Nobody"),
  });
});

test("a cluster of a kind that is not known is refused by name", () => {
  for (const more of [
    { clusterDiscoveryType: { case: "type" as const, value: Discovery.STRICT_DNS } },
    { edsClusterConfig: {} },
    { lbPolicy: LbPolicy.RING_HASH },
    {
      lbPolicy: LbPolicy.LEAST_REQUEST,
      lbConfig: { case: "leastRequestLbConfig" as const, value: { choiceCount: 1 } },
    },
  ]) {
    expect(cluster(more)).toMatchObject({ ok: false, name: "c" });
  }
});

function endpoint(address: string, port: number, healthStatus = HealthStatus.HEALTHY, protocol = Protocol.TCP) {
  const value = { address, protocol, portSpecifier: { case: "portValue" as const, value: port } };
  return {
    healthStatus,
    hostIdentifier: {
      case: "endpoint" as const,
      value: { address: { address: { case: "socketAddress" as const, value } } },
    },
  };
}

function endpoints(...lbEndpoints: ReturnType<typeof endpoint>[]) {
  const message = create(ClusterLoadAssignmentSchema, {
    clusterName: "c",
    endpoints: [{ lbEndpoints, priority: 1, locality: { zone: "z" } }],
  });
  return endpointsType.parse(toBinary(ClusterLoadAssignmentSchema, message));
}

test("endpoints that drain or are unhealthy are known but not usable; doubles count once", () => {
  const result = endpoints(
    endpoint("10.0.0.1", 1),
    endpoint("10.0.0.1", 1),
    endpoint("10.0.0.2", 1, HealthStatus.DRAINING),
    endpoint("10.0.0.3", 1, HealthStatus.UNHEALTHY),
    endpoint("10.0.0.4", 1, HealthStatus.UNKNOWN),
  );
  if (!result.ok) throw new Error(result.error);
  expect(result.value.endpoints.map(({ host, usable }) => [host, usable])).toEqual([
    ["10.0.0.1", true],
    ["10.0.0.2", false],
    ["10.0.0.3", false],
    ["10.0.0.4", true],
  ]);
  expect(result.value.endpoints[0]).toMatchObject({ priority: 1, zone: "z" });
});

test("an address that is none is refused", () => {
  expect(endpoints(endpoint("", 1)).ok).toBe(false);
  expect(endpoints(endpoint("10.0.0.1", 0)).ok).toBe(false);
  expect(endpoints(endpoint("10.0.0.1", 1, HealthStatus.HEALTHY, Protocol.UDP)).ok).toBe(false);
});

function listener(manager: MessageInitShape<typeof HttpConnectionManagerSchema> | undefined) {
  const apiListener =
    manager === undefined ? {} : { apiListener: { apiListener: packed(HttpConnectionManagerSchema, manager) } };
  return listenerType.parse(toBinary(ListenerSchema, create(ListenerSchema, { name: "l", ...apiListener })));
}

test("a listener names its routes or holds them", () => {
  expect(
    listener({ routeSpecifier: { case: "rds", value: { routeConfigName: "r", configSource: ads } } }),
  ).toMatchObject({
    value: { t: "rds", routeConfigName: "r" },
  });
  const inline = { name: "r", virtualHosts: [{ name: "v", domains: ["*"] }] };
  expect(listener({ routeSpecifier: { case: "routeConfig", value: inline } })).toMatchObject({
    value: { t: "inline", routeConfig: { name: "r" } },
  });
});

test("a listener without routes, or with a filter that is not known, is refused", () => {
  const rds = { case: "rds" as const, value: { routeConfigName: "r" } };
  const filter = {
    name: "guard",
    configType: { case: "typedConfig" as const, value: packed(LeastRequestSchema, {}) },
    isOptional: false,
  };
  expect(listener(undefined)).toMatchObject({ ok: false, name: "l", error: "no api_listener" });
  expect(listener({})).toMatchObject({ ok: false });
  expect(listener({ routeSpecifier: rds, httpFilters: [filter] })).toMatchObject({
    ok: false,
    error: 'http filter "guard" is not known to this client',
  });
  expect(listener({ routeSpecifier: rds, httpFilters: [{ ...filter, isOptional: true }] }).ok).toBe(true);
});

test("no bytes make a parser throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      for (const type of [clusterType, endpointsType, listenerType, routeConfigType])
        expect(typeof type.parse(bytes).ok).toBe("boolean");
    }),
    { numRuns: 2_000 },
  );
});
