import { create } from "@bufbuild/protobuf";
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
} from "@weft/contracts/envoy/config/cluster/v3";
import { LeastRequestSchema } from "@weft/contracts/envoy/extensions/load_balancing_policies/least_request/v3";
import { RoundRobinSchema } from "@weft/contracts/envoy/extensions/load_balancing_policies/round_robin/v3";
import { packAny } from "@weft/xds";
import { adsSource } from "./listener.js";

/** Each call goes to the less busy of so many endpoints. */
const choiceCount = 2;

/** Seconds that one connection attempt may take. */
const connectTimeoutSeconds = 5n;

const leastRequest = packAny(LeastRequestSchema, create(LeastRequestSchema, { choiceCount }));
const roundRobin = packAny(RoundRobinSchema, create(RoundRobinSchema));

/**
 * A cluster whose endpoints are fetched under its own name.
 * Least request is said twice: in `lb_policy` for clients that know no more, and as the first of a list (gRFC A52),
 * for clients that lack it (grpc-js) and would reject the cluster; they take round robin.
 */
export function edsCluster(name: string): Cluster {
  return create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: { edsConfig: adsSource(), serviceName: name },
    connectTimeout: { seconds: connectTimeoutSeconds },
    lbPolicy: Cluster_LbPolicy.LEAST_REQUEST,
    lbConfig: { case: "leastRequestLbConfig", value: { choiceCount } },
    loadBalancingPolicy: {
      policies: [
        { typedExtensionConfig: { name: "envoy.load_balancing_policies.least_request", typedConfig: leastRequest } },
        { typedExtensionConfig: { name: "envoy.load_balancing_policies.round_robin", typedConfig: roundRobin } },
      ],
    },
  });
}
