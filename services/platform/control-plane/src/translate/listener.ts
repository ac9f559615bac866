import { create } from "@bufbuild/protobuf";
import { ApiVersion, SocketAddress_Protocol } from "@weft/contracts/envoy/config/core/v3";
import { type Listener, ListenerSchema } from "@weft/contracts/envoy/config/listener/v3";
import { RouterSchema } from "@weft/contracts/envoy/extensions/filters/http/router/v3";
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
} from "@weft/contracts/envoy/extensions/filters/network/http_connection_manager/v3";
import { packAny } from "@weft/xds";

/** The listener of clients that dial `name`: its routes are fetched by `routes`. */
export function clientListener(name: string, routes: string): Listener {
  const manager = create(HttpConnectionManagerSchema, {
    statPrefix: name,
    routeSpecifier: { case: "rds", value: { routeConfigName: routes, configSource: adsSource() } },
    httpFilters: [routerFilter()],
  });
  return create(ListenerSchema, {
    name,
    apiListener: { apiListener: packAny(HttpConnectionManagerSchema, manager) },
  });
}

/** The listener of a gRPC server at an address: it takes every connection and every call. */
export function serverListener(name: string, address: { readonly ip: string; readonly port: number }): Listener {
  const manager: HttpConnectionManager = create(HttpConnectionManagerSchema, {
    statPrefix: "inbound",
    routeSpecifier: {
      case: "routeConfig",
      value: {
        name: "inbound",
        virtualHosts: [
          {
            name: "inbound",
            domains: ["*"],
            routes: [
              {
                match: { pathSpecifier: { case: "prefix", value: "/" } },
                action: { case: "nonForwardingAction", value: {} },
              },
            ],
          },
        ],
      },
    },
    httpFilters: [routerFilter()],
  });
  const filters = [
    {
      name: "envoy.filters.network.http_connection_manager",
      configType: { case: "typedConfig" as const, value: packAny(HttpConnectionManagerSchema, manager) },
    },
  ];
  return create(ListenerSchema, {
    name,
    address: {
      address: {
        case: "socketAddress",
        value: {
          protocol: SocketAddress_Protocol.TCP,
          address: address.ip,
          portSpecifier: { case: "portValue", value: address.port },
        },
      },
    },
    filterChains: [{ name: "inbound", filters }],
  });
}

/** "From this same ADS stream." */
export function adsSource() {
  return {
    configSourceSpecifier: { case: "ads" as const, value: {} },
    resourceApiVersion: ApiVersion.V3,
  };
}

function routerFilter() {
  return {
    name: "envoy.filters.http.router",
    configType: { case: "typedConfig" as const, value: packAny(RouterSchema, create(RouterSchema)) },
  };
}
