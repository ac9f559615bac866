import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { HealthStatus, type LocalitySchema, SocketAddress_Protocol } from "@weft/contracts/envoy/config/core/v3";
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from "@weft/contracts/envoy/config/endpoint/v3";
import type { EndpointState } from "../model/endpoints.js";
import type { ServiceKey } from "../model/keys.js";
import type { MeshView } from "../model/view.js";

interface Placed {
  readonly address: string;
  readonly port: number;
  readonly state: EndpointState;
  readonly region: string;
  readonly zone: string;
}

/**
 * The endpoints of one port, grouped by zone. Those that terminate are left out while any other is ready,
 * and used when none is, as kube-proxy does. A zone weighs as much as it has endpoints: calls spread evenly over all of them.
 */
export function endpointsOfPort(
  view: MeshView,
  service: ServiceKey,
  port: { readonly name: string; readonly clusterName: string },
): ClusterLoadAssignment {
  const all = placedEndpoints(view, service, port.name);
  const ready = all.filter(({ state }) => state === "ready");
  const zones = new Map<
    string,
    { readonly locality: MessageInitShape<typeof LocalitySchema>; readonly members: Placed[] }
  >();
  for (const endpoint of ready.length > 0 ? ready : all) {
    const { region, zone } = endpoint;
    const key = `${region}/${zone}`;
    const group = zones.get(key) ?? { locality: { region, zone }, members: [] };
    group.members.push(endpoint);
    zones.set(key, group);
  }
  return create(ClusterLoadAssignmentSchema, {
    clusterName: port.clusterName,
    endpoints: [...zones.keys()].sort().flatMap((key) => {
      const group = zones.get(key);
      if (group === undefined) return [];
      return [
        {
          locality: group.locality,
          loadBalancingWeight: group.members.length,
          lbEndpoints: group.members.map(lbEndpoint),
        },
      ];
    }),
  });
}

/** Sorted and without doubles: one address may be in two slices while they are rebalanced. IPv6 counts only where there is no IPv4. */
function placedEndpoints(view: MeshView, service: ServiceKey, portName: string): readonly Placed[] {
  const families = { IPv4: new Map<string, Placed>(), IPv6: new Map<string, Placed>() };
  for (const group of view.endpointsOf(service)) {
    const port = group.ports.get(portName);
    if (port === undefined) continue;
    for (const { address, state, zone, nodeName } of group.endpoints) {
      const node = nodeName === undefined ? undefined : view.node(nodeName);
      const key = `${address} ${port}`;
      const known = families[group.family].get(key);
      if (known?.state === "ready") continue;
      families[group.family].set(key, {
        address,
        port,
        state,
        region: node?.region ?? "",
        zone: zone ?? node?.zone ?? "",
      });
    }
  }
  const chosen = families.IPv4.size > 0 ? families.IPv4 : families.IPv6;
  return [...chosen].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
}

function lbEndpoint({ address, port }: Placed) {
  return {
    healthStatus: HealthStatus.HEALTHY,
    loadBalancingWeight: 1,
    hostIdentifier: {
      case: "endpoint" as const,
      value: {
        address: {
          address: {
            case: "socketAddress" as const,
            value: {
              protocol: SocketAddress_Protocol.TCP,
              address,
              portSpecifier: { case: "portValue" as const, value: port },
            },
          },
        },
      },
    },
  };
}
