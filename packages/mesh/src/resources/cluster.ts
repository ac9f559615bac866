import { fromBinary } from "@bufbuild/protobuf";
import {
  type Cluster,
  ClusterSchema,
  Cluster_DiscoveryType as Discovery,
  Cluster_LbPolicy as LbPolicy,
} from "@weft/contracts/envoy/config/cluster/v3";
import { LeastRequestSchema } from "@weft/contracts/envoy/extensions/load_balancing_policies/least_request/v3";
import { type Parsed, parsed, refused } from "@weft/foundation";
import { durationMs } from "./duration.js";
import { resourceType } from "./resource-type.js";

/** How a cluster spreads calls. */
export type BalancerConfig =
  | { readonly name: "least_request"; readonly choices: number }
  | { readonly name: "round_robin" }
  | { readonly name: "pick_first" };

export interface ClusterConfig {
  /** The name under which EDS has its endpoints. */
  readonly endpointsName: string;
  readonly balancer: BalancerConfig;
  readonly connectTimeoutMs: number;
}

/** For clusters that nobody describes. */
export const defaultBalancer: BalancerConfig = { name: "least_request", choices: 2 };
/** Envoy's default. */
export const defaultConnectTimeoutMs = 5_000;

/** CDS. */
export const clusterType = resourceType({
  schema: ClusterSchema,
  complete: true,
  name: (message) => message.name,
  parse: parseCluster,
});

function parseCluster(message: Cluster): Parsed<ClusterConfig> {
  if (message.clusterDiscoveryType.case !== "type" || message.clusterDiscoveryType.value !== Discovery.EDS) {
    return refused("only clusters of type EDS are known to this client");
  }
  const source = message.edsClusterConfig?.edsConfig?.configSourceSpecifier.case;
  if (source === undefined) return refused("eds_config is neither ads nor self");
  const balancer = parseBalancer(message);
  if (!balancer.ok) return balancer;
  const connectTimeoutMs = message.connectTimeout === undefined ? 0 : durationMs(message.connectTimeout);
  return parsed({
    endpointsName: message.edsClusterConfig?.serviceName || message.name,
    balancer: balancer.value,
    connectTimeoutMs: connectTimeoutMs === 0 ? defaultConnectTimeoutMs : connectTimeoutMs,
  });
}

function parseBalancer(message: Cluster): Parsed<BalancerConfig> {
  if (message.loadBalancingPolicy !== undefined) {
    const urls: string[] = [];
    // The first policy that is known is taken: that is how a list of them is meant (gRFC A52).
    for (const { typedExtensionConfig } of message.loadBalancingPolicy.policies) {
      const config = typedExtensionConfig?.typedConfig;
      if (config === undefined) continue;
      const balancer = parsePolicy(config.typeUrl, config.value);
      if (balancer !== undefined) return balancer;
      urls.push(config.typeUrl);
    }
    return refused(`no load balancing policy is known to this client: ${urls.join(", ") || "the list is empty"}`);
  }
  switch (message.lbPolicy) {
    case LbPolicy.ROUND_ROBIN:
      return parsed({ name: "round_robin" });
    case LbPolicy.LEAST_REQUEST: {
      const lb = message.lbConfig;
      return leastRequest(lb.case === "leastRequestLbConfig" ? lb.value.choiceCount : undefined);
    }
    default:
      return refused(
        `load balancing policy ${LbPolicy[message.lbPolicy] ?? message.lbPolicy} is not known to this client`,
      );
  }
}

const policyPrefix = "type.googleapis.com/envoy.extensions.load_balancing_policies.";

function parsePolicy(typeUrl: string, value: Uint8Array): Parsed<BalancerConfig> | undefined {
  switch (typeUrl) {
    case `${policyPrefix}least_request.v3.LeastRequest`:
      return leastRequest(fromBinary(LeastRequestSchema, value).choiceCount);
    case `${policyPrefix}round_robin.v3.RoundRobin`:
      return parsed({ name: "round_robin" });
    case `${policyPrefix}pick_first.v3.PickFirst`:
      return parsed({ name: "pick_first" });
    default:
      return undefined;
  }
}

/** gRFC A48: fewer than two choices are refused, more than ten count as ten. */
function leastRequest(choices = 2): Parsed<BalancerConfig> {
  if (choices < 2) return refused(`least_request: choice_count ${choices} is below 2`);
  return parsed({ name: "least_request", choices: Math.min(choices, 10) });
}
