import type {
  EndpointSlice,
  GrpcBackendRef,
  GrpcRoute,
  GrpcRouteFilter,
  GrpcRouteMatch,
  GrpcRouteRule,
  Node,
  ParentRef,
  ReferenceGrant,
  Service,
} from "@weft/kube";
import type { EndpointGroup, EndpointState, MeshEndpoint, NodePlace } from "../model/endpoints.js";
import { keyParts, routeKey, serviceKey } from "../model/keys.js";
import type {
  Grant,
  HeaderChange,
  MeshRoute,
  RouteBackend,
  RouteFilter,
  RouteMatch,
  RouteParent,
  RouteRule,
} from "../model/route.js";
import type { MeshService } from "../model/service.js";

export function fromService(object: Service): MeshService {
  const { name, namespace = "" } = object.metadata;
  const ports = object.spec.type === "ExternalName" ? [] : (object.spec.ports ?? []);
  return {
    namespace,
    name,
    ports: ports
      .filter(({ protocol = "TCP" }) => protocol === "TCP")
      .map((port) => ({ name: port.name ?? "", port: port.port })),
  };
}

/** `undefined` for a slice that belongs to no Service, or holds names instead of addresses. */
export function fromEndpointSlice(object: EndpointSlice): EndpointGroup | undefined {
  const { namespace = "", labels = {} } = object.metadata;
  const service = labels["kubernetes.io/service-name"];
  const family = familyOf(object.addressType);
  if (service === undefined || service === "" || family === undefined) return undefined;
  const ports = new Map<string, number>();
  for (const { name = "", port, protocol = "TCP" } of object.ports ?? []) {
    if (protocol === "TCP" && port !== undefined) ports.set(name, port);
  }
  const endpoints: MeshEndpoint[] = [];
  for (const { addresses, conditions = {}, zone, nodeName } of object.endpoints ?? []) {
    const [address] = addresses;
    const state = stateOf(conditions);
    // All addresses of an endpoint are the same Pod: one is enough (the API allows no more than one use of them).
    if (address !== undefined && state !== undefined) endpoints.push({ address, state, zone, nodeName });
  }
  return { service: serviceKey(namespace, service), family, ports, endpoints };
}

function familyOf(addressType: string): EndpointGroup["family"] | undefined {
  return addressType === "IPv4" || addressType === "IPv6" ? addressType : undefined;
}

/** Absent conditions count as ready, serving and not terminating (discovery/v1). */
function stateOf(conditions: {
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
}): EndpointState | undefined {
  const { ready = true, terminating = false } = conditions;
  const serving = conditions.serving ?? ready;
  if (ready) return "ready";
  return serving && terminating ? "terminating" : undefined;
}

export function fromNode(object: Node): NodePlace {
  const labels = object.metadata.labels ?? {};
  return {
    region: labels["topology.kubernetes.io/region"] ?? "",
    zone: labels["topology.kubernetes.io/zone"] ?? "",
  };
}

export function fromGrpcRoute(object: GrpcRoute): MeshRoute {
  const { name, namespace = "", creationTimestamp = "", generation = 0 } = object.metadata;
  return {
    key: routeKey(namespace, name),
    namespace,
    name,
    createdAt: creationTimestamp,
    generation,
    parents: (object.spec.parentRefs ?? []).flatMap((ref) => parentOf(ref, namespace)),
    rules: (object.spec.rules ?? []).map((rule) => ruleOf(rule, namespace)),
  };
}

/** Parents of other kinds (Gateways) are the affair of other controllers. */
function parentOf(ref: ParentRef, namespace: string): RouteParent[] {
  const { group = "gateway.networking.k8s.io", kind = "Gateway" } = ref;
  if (group !== "" || kind !== "Service") return [];
  return [
    {
      service: serviceKey(ref.namespace ?? namespace, ref.name),
      port: ref.port,
      sectionName: ref.sectionName,
      ref: {
        group,
        kind,
        ...(ref.namespace === undefined ? {} : { namespace: ref.namespace }),
        name: ref.name,
        ...(ref.sectionName === undefined ? {} : { sectionName: ref.sectionName }),
        ...(ref.port === undefined ? {} : { port: ref.port }),
      },
    },
  ];
}

function ruleOf(rule: GrpcRouteRule, namespace: string): RouteRule {
  return {
    matches: (rule.matches ?? []).map(matchOf),
    filters: (rule.filters ?? []).map(filterOf),
    backends: (rule.backendRefs ?? []).map((backend) => backendOf(backend, namespace)),
    unknown: unknownFields(rule),
  };
}

const knownFields = {
  rule: ["name", "matches", "filters", "backendRefs"],
  match: ["method", "headers"],
  method: ["type", "service", "method"],
  header: ["type", "name", "value"],
  // A filter of another type is refused for its type.
  filter: ["type", "requestHeaderModifier", "responseHeaderModifier", "requestMirror", "extensionRef"],
  backend: ["group", "kind", "namespace", "name", "port", "weight", "filters"],
} as const;

/** What the author wrote in a rule that is not read: a later Gateway API has more fields, and a rule is not to be followed in part. */
function unknownFields(rule: GrpcRouteRule): readonly string[] {
  const found: string[] = [];
  const look = (path: string, value: object, known: readonly string[]): void => {
    for (const name of Object.keys(value)) if (!known.includes(name)) found.push(path + name);
  };
  const lookAtFilters = (path: string, filters: readonly GrpcRouteFilter[] = []): void => {
    for (const [index, filter] of filters.entries()) look(`${path}filters[${index}].`, filter, knownFields.filter);
  };
  look("", rule, knownFields.rule);
  lookAtFilters("", rule.filters);
  for (const [index, match] of (rule.matches ?? []).entries()) {
    const path = `matches[${index}].`;
    look(path, match, knownFields.match);
    look(`${path}method.`, match.method ?? {}, knownFields.method);
    for (const [at, header] of (match.headers ?? []).entries()) {
      look(`${path}headers[${at}].`, header, knownFields.header);
    }
  }
  for (const [index, backend] of (rule.backendRefs ?? []).entries()) {
    look(`backendRefs[${index}].`, backend, knownFields.backend);
    lookAtFilters(`backendRefs[${index}].`, backend.filters);
  }
  return found;
}

function matchOf({ method, headers = [] }: GrpcRouteMatch): RouteMatch {
  return {
    method: method && { type: method.type ?? "Exact", service: method.service, method: method.method },
    headers: headers.map(({ type = "Exact", name, value }) => ({ type, name, value })),
  };
}

function filterOf(filter: GrpcRouteFilter): RouteFilter {
  const change = filter.type === "RequestHeaderModifier" ? filter.requestHeaderModifier : filter.responseHeaderModifier;
  return { type: filter.type, change: change && changeOf(change) };
}

function changeOf(change: NonNullable<GrpcRouteFilter["requestHeaderModifier"]>): HeaderChange {
  return { set: change.set ?? [], add: change.add ?? [], remove: change.remove ?? [] };
}

/** Throws for one that names nothing: the schema forbids it, and nothing after this could stand it. */
function backendOf(backend: GrpcBackendRef, namespace: string): RouteBackend {
  const named = keyParts(serviceKey(backend.namespace ?? namespace, backend.name));
  return {
    group: backend.group ?? "",
    kind: backend.kind ?? "Service",
    ...named,
    port: backend.port,
    weight: backend.weight ?? 1,
    filters: (backend.filters ?? []).map(filterOf),
  };
}

/** `undefined` for a grant that is not about GRPCRoutes and Services. */
export function fromReferenceGrant(object: ReferenceGrant): Grant | undefined {
  const { from, to } = object.spec;
  const fromNamespaces = from
    .filter(({ group, kind }) => group === "gateway.networking.k8s.io" && kind === "GRPCRoute")
    .map(({ namespace }) => namespace);
  const services = to.filter(({ group, kind }) => group === "" && kind === "Service");
  if (fromNamespaces.length === 0 || services.length === 0) return undefined;
  const names = services.map(({ name }) => name).filter((name) => name !== undefined && name !== "");
  return {
    namespace: object.metadata.namespace ?? "",
    fromNamespaces,
    services: names.length < services.length ? { t: "all" } : { t: "named", names: new Set(names.map(String)) },
  };
}
