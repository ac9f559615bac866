import { isIP } from "node:net";
import { keyParts, type ServiceKey } from "../model/keys.js";

/** The name of listener, route configuration, cluster and endpoints of one port of a Service: `orders.shop:8080`. */
export function portName(service: ServiceKey, port: number): string {
  return `${aliasName(service)}:${port}`;
}

/** The name of the listener for those who name no port: `orders.shop`. */
export function aliasName(service: ServiceKey): string {
  const { namespace, name } = keyParts(service);
  return `${name}.${namespace}`;
}

/** The cluster without endpoints: calls that a route sends to a backend which isn't there end UNAVAILABLE. */
export const noBackend = "no-backend";

const serverListenerPrefix = "grpc/server?xds.resource.listening_address=";

/** The address in the name of a server's listener, `grpc/server?xds.resource.listening_address=10.0.0.7:8080` (gRFC A36). */
export function parseServerListener(name: string): { readonly ip: string; readonly port: number } | undefined {
  if (!name.startsWith(serverListenerPrefix)) return undefined;
  const address = name.slice(serverListenerPrefix.length);
  const colon = address.lastIndexOf(":");
  const ip = address.slice(0, Math.max(colon, 0)).replace(/^\[(.*)\]$/, "$1");
  const digits = address.slice(colon + 1);
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : 0;
  return isIP(ip) === 0 || port < 1 || port > 65_535 ? undefined : { ip, port };
}
