import { create } from "@bufbuild/protobuf";
import type { Cluster } from "@weft/contracts/envoy/config/cluster/v3";
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from "@weft/contracts/envoy/config/endpoint/v3";
import type { Listener } from "@weft/contracts/envoy/config/listener/v3";
import { type Route, type RouteConfiguration, RouteConfigurationSchema } from "@weft/contracts/envoy/config/route/v3";
import type { ServiceKey } from "../model/keys.js";
import type { ParentOutcome } from "../model/outcome.js";
import { defaultPort } from "../model/service.js";
import type { MeshView } from "../model/view.js";
import { attachRoutes } from "./attach.js";
import { edsCluster } from "./cluster.js";
import { endpointsOfPort } from "./endpoints.js";
import { clientListener } from "./listener.js";
import { aliasName, noBackend, portName } from "./names.js";
import { catchAll } from "./route-rules.js";

/** A set of resources: names are in the messages. */
export interface Resources {
  readonly clusters: readonly Cluster[];
  readonly endpoints: readonly ClusterLoadAssignment[];
  readonly listeners: readonly Listener[];
  readonly routes: readonly RouteConfiguration[];
}

/** Everything that follows from one Service and what is attached to it. */
export interface Translation extends Resources {
  /** Routes that clients of a namespace get instead of those above. */
  readonly consumerRoutes: ReadonlyMap<string, readonly RouteConfiguration[]>;
  readonly outcomes: readonly ParentOutcome[];
}

/** What is there whatever the cluster holds: the cluster that is always empty. */
export const fixedResources: Resources = {
  clusters: [edsCluster(noBackend)],
  endpoints: [create(ClusterLoadAssignmentSchema, { clusterName: noBackend })],
  listeners: [],
  routes: [],
};

/** Translates one Service. Pure; for a Service that does not exist it gives only what became of the routes that name it. */
export function translateService(view: MeshView, key: ServiceKey): Translation {
  const service = view.service(key);
  const { ports: attached, outcomes } = attachRoutes(view, key);
  const clusters: Cluster[] = [];
  const endpoints: ClusterLoadAssignment[] = [];
  const listeners: Listener[] = [];
  const routes: RouteConfiguration[] = [];
  const consumerRoutes = new Map<string, RouteConfiguration[]>();
  for (const { name: portLabel, port } of service?.ports ?? []) {
    const name = portName(key, port);
    clusters.push(edsCluster(name));
    endpoints.push(endpointsOfPort(view, key, { name: portLabel, clusterName: name }));
    listeners.push(clientListener(name, name));
    const { producer, consumers } = attached.get(port) ?? { producer: undefined, consumers: new Map() };
    routes.push(routeConfiguration(name, producer ?? [catchAll(name)]));
    for (const [namespace, own] of consumers) {
      const all = consumerRoutes.get(namespace) ?? [];
      consumerRoutes.set(namespace, [...all, routeConfiguration(name, own)]);
    }
  }
  const main = service === undefined ? undefined : defaultPort(service);
  if (main !== undefined) listeners.push(clientListener(aliasName(key), portName(key, main.port)));
  return { clusters, endpoints, listeners, routes, consumerRoutes, outcomes };
}

function routeConfiguration(name: string, routes: readonly Route[]): RouteConfiguration {
  return create(RouteConfigurationSchema, { name, virtualHosts: [{ name, domains: ["*"], routes: [...routes] }] });
}
