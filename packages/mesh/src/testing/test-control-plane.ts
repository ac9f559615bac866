import type { MessageInitShape } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { Cluster_DiscoveryType, Cluster_LbPolicy } from "@weft/contracts/envoy/config/cluster/v3";
import { HealthStatus } from "@weft/contracts/envoy/config/core/v3";
import type { RouteSchema } from "@weft/contracts/envoy/config/route/v3";
import { HttpConnectionManagerSchema } from "@weft/contracts/envoy/extensions/filters/network/http_connection_manager/v3";
import type { Listener, Transport } from "@weft/wire";
import { createAdsServer, type EncodedResource } from "@weft/xds";
import { clusterResource, endpointResource, listenerResource, MemorySnapshots, routeResource } from "@weft/xds/testing";

/** A route as xDS has it. */
export type RouteInit = MessageInitShape<typeof RouteSchema>;

/** An endpoint of a test's cluster. */
export interface EndpointInit {
  readonly host?: string;
  readonly port: number;
  readonly health?: HealthStatus;
}

/** Resources of a listener and its route configuration, both named `name`; without routes every call goes to the cluster of that name. */
export function routedTarget(name: string, routes: readonly RouteInit[] = [routeTo(name)]): readonly EncodedResource[] {
  const manager = create(HttpConnectionManagerSchema, {
    routeSpecifier: {
      case: "rds",
      value: { routeConfigName: name, configSource: { configSourceSpecifier: { case: "ads", value: {} } } },
    },
  });
  const apiListener = create(AnySchema, {
    typeUrl: `type.googleapis.com/${HttpConnectionManagerSchema.typeName}`,
    value: toBinary(HttpConnectionManagerSchema, manager),
  });
  return [
    listenerResource({ name, apiListener: { apiListener } }),
    routeResource({ name, virtualHosts: [{ name, domains: ["*"], routes: [...routes] }] }),
  ];
}

/** The listener of a server, as a control plane has it for every address that is asked for. */
export function serverListener(host: string, port: number): EncodedResource {
  const address = { address: host, portSpecifier: { case: "portValue" as const, value: port } };
  return listenerResource({
    name: `grpc/server?xds.resource.listening_address=${host}:${port}`,
    address: { address: { case: "socketAddress", value: address } },
  });
}

/** A route that takes every call to one cluster. */
export function routeTo(cluster: string): RouteInit {
  return {
    match: { pathSpecifier: { case: "prefix", value: "" } },
    action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: cluster } } },
  };
}

/** Resources of a cluster and its endpoints. */
export function clusterOf(
  name: string,
  endpoints: readonly EndpointInit[],
  lbPolicy: Cluster_LbPolicy = Cluster_LbPolicy.LEAST_REQUEST,
): readonly EncodedResource[] {
  return [
    clusterResource({
      name,
      clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
      edsClusterConfig: { edsConfig: { configSourceSpecifier: { case: "ads", value: {} } } },
      lbPolicy,
    }),
    endpointResource({
      clusterName: name,
      endpoints: [
        {
          lbEndpoints: endpoints.map(({ host = "127.0.0.1", port, health = HealthStatus.HEALTHY }) => ({
            healthStatus: health,
            hostIdentifier: {
              case: "endpoint",
              value: {
                address: {
                  address: {
                    case: "socketAddress",
                    value: { address: host, portSpecifier: { case: "portValue", value: port } },
                  },
                },
              },
            },
          })),
        },
      ],
    }),
  ];
}

/** A control plane on a real socket that says what a test tells it. */
export class TestControlPlane implements AsyncDisposable {
  readonly #transport: Transport;
  readonly #identifier: string;
  readonly #snapshots = new MemorySnapshots();
  #running: { readonly listener: Listener; readonly stop: () => Promise<void> } | undefined;
  #port = 0;
  #version = 0;

  constructor(transport: Transport, identifier = "test-cluster") {
    this.#transport = transport;
    this.#identifier = identifier;
  }

  /** Starts it, or starts it again on the port that it had. What was published before is still known. */
  async start(): Promise<void> {
    const server = createAdsServer({ snapshots: this.#snapshots, identifier: this.#identifier });
    const listener = await this.#transport.listen({ host: "127.0.0.1", port: this.#port, methods: server.methods });
    this.#port = listener.port;
    this.#running = {
      listener,
      stop: async () => {
        await server[Symbol.asyncDispose]();
        await listener.drain(0);
      },
    };
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.stop();
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Replaces everything by these resources; the version counts up unless one is given. */
  publish(resources: readonly EncodedResource[], version: number = this.#version + 1): void {
    this.#version = version;
    this.#snapshots.publish(String(version), resources);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
