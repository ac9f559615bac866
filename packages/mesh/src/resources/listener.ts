import { fromBinary } from "@bufbuild/protobuf";
import { type Listener, ListenerSchema } from "@weft/contracts/envoy/config/listener/v3";
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
} from "@weft/contracts/envoy/extensions/filters/network/http_connection_manager/v3";
import { type Parsed, parsed, refused } from "@weft/foundation";
import type { RouteConfig } from "../route/route.js";
import { resourceType } from "./resource-type.js";
import { parseRouteConfig } from "./route-config.js";

/** Where a client's routes are; or that the listener is a server's. */
export type ListenerConfig =
  /** Nothing in it concerns this process yet: access and limits come with identity. */
  | { readonly t: "server" }
  | { readonly t: "rds"; readonly routeConfigName: string }
  | { readonly t: "inline"; readonly routeConfig: RouteConfig };

/** LDS: a client's listener has `api_listener`, a server's has an address (gRFC A36). */
export const listenerType = resourceType({
  schema: ListenerSchema,
  complete: true,
  name: (message) => message.name,
  parse: parseListener,
});

const managerUrl = `type.googleapis.com/${HttpConnectionManagerSchema.typeName}`;
const routerUrl = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";

function parseListener(message: Listener): Parsed<ListenerConfig> {
  const any = message.apiListener?.apiListener;
  if (any === undefined)
    return message.address === undefined ? refused("no api_listener") : parseServerListener(message);
  if (any.typeUrl !== managerUrl) return refused(`api_listener is a ${any.typeUrl}, not a HttpConnectionManager`);
  const manager = fromBinary(HttpConnectionManagerSchema, any.value);
  const unknown = unknownFilter(manager);
  if (unknown !== undefined) return refused(`http filter ${JSON.stringify(unknown)} is not known to this client`);
  switch (manager.routeSpecifier.case) {
    case "rds": {
      const routeConfigName = manager.routeSpecifier.value.routeConfigName;
      return routeConfigName === ""
        ? refused("rds names no route configuration")
        : parsed({ t: "rds", routeConfigName });
    }
    case "routeConfig": {
      const routeConfig = parseRouteConfig(manager.routeSpecifier.value);
      return routeConfig.ok ? parsed({ t: "inline", routeConfig: routeConfig.value }) : routeConfig;
    }
    case undefined:
      return refused("neither rds nor route_config");
  }
}

/** Each chain must hold nothing but what is done anyway: a call that arrives is handled. */
function parseServerListener(message: Listener): Parsed<ListenerConfig> {
  const fallback = message.defaultFilterChain === undefined ? [] : [message.defaultFilterChain];
  for (const { filters } of [...message.filterChains, ...fallback]) {
    for (const { name, configType } of filters) {
      if (configType.value?.typeUrl !== managerUrl)
        return refused(`network filter ${JSON.stringify(name)} is not known to this server`);
      const unknown = unknownFilter(fromBinary(HttpConnectionManagerSchema, configType.value.value));
      if (unknown !== undefined) return refused(`http filter ${JSON.stringify(unknown)} is not known to this server`);
    }
  }
  return parsed({ t: "server" });
}

/** A filter that is not understood may be what guards the service: it is never passed over in silence. */
function unknownFilter(manager: HttpConnectionManager): string | undefined {
  return manager.httpFilters.find((filter) => filter.configType.value?.typeUrl !== routerUrl && !filter.isOptional)
    ?.name;
}
