import { ClusterSchema } from "@weft/contracts/envoy/config/cluster/v3";
import { ClusterLoadAssignmentSchema } from "@weft/contracts/envoy/config/endpoint/v3";
import { type Listener, ListenerSchema } from "@weft/contracts/envoy/config/listener/v3";
import { type RouteConfiguration, RouteConfigurationSchema } from "@weft/contracts/envoy/config/route/v3";
import { HttpConnectionManagerSchema } from "@weft/contracts/envoy/extensions/filters/network/http_connection_manager/v3";
import { type EncodedResource, encodeResource, TypeUrl, unpackAny } from "@weft/xds";
import type { Resources } from "../translate/translate.js";

/** A resource as it is shared by all streams, and the names without which it dangles. */
export interface PublishedResource extends EncodedResource {
  readonly needs: readonly Need[];
}

/** A resource that another one names. */
export interface Need {
  readonly type: TypeUrl;
  readonly name: string;
}

/** Encodes resources, each once. */
export function encodeAll(resources: Resources): readonly PublishedResource[] {
  return [
    ...resources.clusters.map((message) => ({
      ...encodeResource(TypeUrl.cluster, message.name, ClusterSchema, message),
      needs: [{ type: TypeUrl.endpoint, name: message.edsClusterConfig?.serviceName || message.name }],
    })),
    ...resources.endpoints.map((message) => ({
      ...encodeResource(TypeUrl.endpoint, message.clusterName, ClusterLoadAssignmentSchema, message),
      needs: [{ type: TypeUrl.cluster, name: message.clusterName }],
    })),
    ...resources.listeners.map(encodeListener),
    ...resources.routes.map(encodeRoutes),
  ];
}

export function encodeListener(message: Listener): PublishedResource {
  const manager = unpackAny(message.apiListener?.apiListener, HttpConnectionManagerSchema);
  const routes = manager?.routeSpecifier.case === "rds" ? manager.routeSpecifier.value.routeConfigName : undefined;
  return {
    ...encodeResource(TypeUrl.listener, message.name, ListenerSchema, message),
    needs: routes === undefined ? [] : [{ type: TypeUrl.route, name: routes }],
  };
}

export function encodeRoutes(message: RouteConfiguration): PublishedResource {
  const clusters = new Set<string>();
  for (const { action } of message.virtualHosts.flatMap((host) => host.routes)) {
    if (action.case !== "route") continue;
    const specifier = action.value.clusterSpecifier;
    if (specifier.case === "cluster") clusters.add(specifier.value);
    if (specifier.case === "weightedClusters") for (const { name } of specifier.value.clusters) clusters.add(name);
  }
  return {
    ...encodeResource(TypeUrl.route, message.name, RouteConfigurationSchema, message),
    needs: [...clusters].map((name) => ({ type: TypeUrl.cluster, name })),
  };
}
