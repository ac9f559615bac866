import { Agent } from "node:https";
import { at, listAt, numberAt, recordAt, textAt } from "../../kinds/path.js";
import type { Json } from "../../kinds/resource-kind.js";
import type { KindRegistry } from "../kind-registry.js";
import type { ObjectStore } from "../store.js";

/** Where a Pod of the server listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** The Pods behind an APIService, or why there are none: reason and words of the condition `Available`. */
export type Resolved =
  | { readonly t: "addresses"; readonly addresses: readonly Address[] }
  | { readonly t: "none"; readonly reason: string; readonly message: string };

/** Finds the ready Pods of an APIService's Service: there is no virtual address to ask. */
export function resolveBackend(apiService: Json, store: ObjectStore, kinds: KindRegistry): Resolved {
  const { namespace, name } = backendOf(apiService);
  const wanted = numberAt(apiService, "spec", "service", "port") ?? 443;
  const services = kinds.byKey("services");
  const slices = kinds.byKey("endpointslices.discovery.k8s.io");
  const service = services === undefined ? undefined : store.get(services, namespace, name);
  const where = `service/${name} in ${JSON.stringify(namespace)}`;
  const none = (reason: string, message: string): Resolved => ({ t: "none", reason, message });
  if (service === undefined || slices === undefined) return none("ServiceNotFound", `${where} is not present`);
  const servicePort = listAt(service, "spec", "ports").find((port) => at(port, "port") === wanted);
  if (servicePort === undefined) return none("ServicePortError", `${where} is not listening on port ${wanted}`);
  const addresses: Address[] = [];
  for (const slice of store.list(slices, namespace)) {
    if (recordAt(slice, "metadata", "labels")["kubernetes.io/service-name"] !== name) continue;
    const port = listAt(slice, "ports").find((entry) => textAt(entry, "name") === textAt(servicePort, "name"));
    const number = numberAt(port, "port");
    if (number === undefined) continue;
    for (const endpoint of listAt(slice, "endpoints")) {
      if (at(endpoint, "conditions", "ready") === false) continue;
      const host = textAt(endpoint, "addresses", 0);
      if (host !== "") addresses.push({ host, port: number });
    }
  }
  if (addresses.length > 0) return { t: "addresses", addresses };
  return none(
    "MissingEndpoints",
    `endpoints for ${where} have no addresses with port name ${JSON.stringify(textAt(servicePort, "name"))}`,
  );
}

/** The Service that answers for an APIService, and the name that its certificate must carry. */
export function backendOf(apiService: Json): {
  readonly namespace: string;
  readonly name: string;
  readonly serverName: string;
} {
  const namespace = textAt(apiService, "spec", "service", "namespace");
  const name = textAt(apiService, "spec", "service", "name");
  return { namespace, name, serverName: `${name}.${namespace}.svc` };
}

/** Connections to the server of one APIService: its certificate is held to `caBundle` and its Service's name, ours says who forwards. */
export function backendAgent(apiService: Json, frontProxy: { readonly cert: string; readonly key: string }): Agent {
  const bundle = textAt(apiService, "spec", "caBundle");
  return new Agent({
    keepAlive: true,
    maxFreeSockets: 4,
    servername: backendOf(apiService).serverName,
    cert: frontProxy.cert,
    key: frontProxy.key,
    minVersion: "TLSv1.2",
    rejectUnauthorized: at(apiService, "spec", "insecureSkipTLSVerify") !== true,
    ...(bundle === "" ? {} : { ca: Buffer.from(bundle, "base64") }),
  });
}
