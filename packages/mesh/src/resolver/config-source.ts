import type { AdsClient, ResourceCollection } from "@weft/xds";
import { type ClusterConfig, clusterType } from "../resources/cluster.js";
import { type EndpointsConfig, endpointsType } from "../resources/endpoints.js";
import { type ListenerConfig, listenerType } from "../resources/listener.js";
import { routeConfigType } from "../resources/route-config.js";
import type { RouteConfig } from "../route/route.js";

/** Where the resolver gets its resources from: a control plane, or a table in a test. */
export interface ConfigSource {
  readonly listeners: ResourceCollection<ListenerConfig>;
  readonly routeConfigs: ResourceCollection<RouteConfig>;
  readonly clusters: ResourceCollection<ClusterConfig>;
  readonly endpoints: ResourceCollection<EndpointsConfig>;
}

/** Resources from a control plane. */
export function adsSource(ads: AdsClient): ConfigSource {
  return {
    listeners: ads.collection(listenerType),
    clusters: ads.collection(clusterType),
    routeConfigs: ads.collection(routeConfigType),
    endpoints: ads.collection(endpointsType),
  };
}
