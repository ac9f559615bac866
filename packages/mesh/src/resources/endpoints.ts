import { HealthStatus, SocketAddress_Protocol as Protocol } from "@weft/contracts/envoy/config/core/v3";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
  type LbEndpoint,
} from "@weft/contracts/envoy/config/endpoint/v3";
import { type Parsed, parsed, refused } from "@weft/foundation";
import { resourceType } from "./resource-type.js";

/** One address that serves a cluster. */
export interface EndpointConfig {
  readonly host: string;
  readonly port: number;
  /** Whether new calls may go there: one that drains or is unhealthy gets none. */
  readonly usable: boolean;
  /** Lower ones first; the next only when none of the lower can be reached. */
  readonly priority: number;
  readonly zone: string;
}

export interface EndpointsConfig {
  readonly endpoints: readonly EndpointConfig[];
}

/** EDS. */
export const endpointsType = resourceType({
  schema: ClusterLoadAssignmentSchema,
  complete: false,
  name: (message) => message.clusterName,
  parse: parseEndpoints,
});

function parseEndpoints(message: ClusterLoadAssignment): Parsed<EndpointsConfig> {
  const endpoints = new Map<string, EndpointConfig>();
  for (const group of message.endpoints) {
    for (const lbEndpoint of group.lbEndpoints) {
      const address = parseAddress(lbEndpoint);
      if (!address.ok) return address;
      const { host, port } = address.value;
      endpoints.set(`${host} ${port}`, {
        host,
        port,
        usable: isUsable(lbEndpoint.healthStatus),
        priority: group.priority,
        zone: group.locality?.zone ?? "",
      });
    }
  }
  return parsed({ endpoints: [...endpoints.values()] });
}

function parseAddress(lbEndpoint: LbEndpoint): Parsed<{ readonly host: string; readonly port: number }> {
  if (lbEndpoint.hostIdentifier.case !== "endpoint") return refused("an endpoint has no address");
  const address = lbEndpoint.hostIdentifier.value.address?.address;
  if (address?.case !== "socketAddress") return refused("an endpoint has no socket address");
  const socket = address.value;
  const port = socket.portSpecifier.case === "portValue" ? socket.portSpecifier.value : 0;
  if (socket.protocol !== Protocol.TCP) return refused(`endpoint ${socket.address}: only TCP is known`);
  if (socket.address === "" || port < 1 || port > 65_535) {
    return refused(`endpoint "${socket.address}:${port}" is no address`);
  }
  return parsed({ host: socket.address, port });
}

/** gRFC A27: UNKNOWN and HEALTHY endpoints get calls; DEGRADED ones work. */
function isUsable(status: HealthStatus): boolean {
  return status === HealthStatus.UNKNOWN || status === HealthStatus.HEALTHY || status === HealthStatus.DEGRADED;
}
