import { fromBinary } from "@bufbuild/protobuf";
import { type Listener, ListenerSchema } from "@weft/contracts/envoy/config/listener/v3";
import { HttpConnectionManagerSchema } from "@weft/contracts/envoy/extensions/filters/network/http_connection_manager/v3";
import { type Parsed, parsed, refused } from "@weft/foundation";
import type { RouteConfig } from "../route/route.js";
import { resourceType } from "./resource-type.js";
import { parseRouteConfig } from "./route-config.js";

/** A client's listener: where its routes are. */
export type ListenerConfig =
  | { readonly t: "rds"; readonly routeConfigName: string }
  | { readonly t: "inline"; readonly routeConfig: RouteConfig };

/** LDS, of which a client uses `api_listener` only. */
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
  if (any === undefined) return refused("no api_listener");
  if (any.typeUrl !== managerUrl) return refused(`api_listener is a ${any.typeUrl}, not a HttpConnectionManager`);
  const manager = fromBinary(HttpConnectionManagerSchema, any.value);
  for (const filter of manager.httpFilters) {
    // A filter that is not understood may be what guards the service: it is never passed over in silence.
    if (filter.configType.value?.typeUrl === routerUrl || filter.isOptional) continue;
    return refused(`http filter ${JSON.stringify(filter.name)} is not known to this client`);
  }
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
