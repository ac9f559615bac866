import {
  type EndpointSlice,
  type GrpcRoute,
  type Kind,
  type KubeObject,
  kinds,
  type Pod,
  type Service,
} from "@weft/kube";
import { routeKey, serviceKey } from "../model/keys.js";
import { fromEndpointSlice, fromGrpcRoute, fromReferenceGrant, fromService } from "../source/from-kube.js";
import type { Change } from "../source/source.js";

/** `name` or `name.namespace`; the namespace is `shop` if none is given. */
type Name = string;

function split(name: Name): { readonly name: string; readonly namespace: string } {
  const [short = "", namespace = "shop"] = name.split(".");
  return { name: short, namespace };
}

function parse<T extends KubeObject>(kind: Kind<T>, value: unknown): T {
  const read = kind.parse(value);
  if (!read.ok) throw new Error(read.error);
  return read.value;
}

/** A Service object; ports by name. */
export function serviceObject(name: Name, ports: Readonly<Record<string, number>> = { grpc: 8080 }): Service {
  return parse(kinds.service, {
    apiVersion: "v1",
    kind: "Service",
    metadata: split(name),
    spec: { ports: Object.entries(ports).map(([label, port]) => ({ name: label, port })) },
  });
}

export function serviceIs(name: Name, ports?: Readonly<Record<string, number>>): Change {
  const object = split(name);
  return {
    kind: "service",
    key: serviceKey(object.namespace, object.name),
    value: fromService(serviceObject(name, ports)),
  };
}

export function serviceGone(name: Name): Change {
  const object = split(name);
  return { kind: "service", key: serviceKey(object.namespace, object.name), value: undefined };
}

/** Addresses of a slice: ready ones as text, others with their conditions. */
export type Address =
  | string
  | { readonly address: string; readonly zone?: string; readonly nodeName?: string; readonly conditions?: object };

export function sliceObject(
  name: Name,
  addresses: readonly Address[],
  ports: Readonly<Record<string, number>> = { grpc: 8080 },
): EndpointSlice {
  const { namespace, name: service } = split(name);
  return parse(kinds.endpointSlice, {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `${service}-1`, namespace, labels: { "kubernetes.io/service-name": service } },
    addressType: "IPv4",
    ports: Object.entries(ports).map(([label, port]) => ({ name: label, port })),
    endpoints: addresses.map((entry) => {
      const { address, ...rest } = typeof entry === "string" ? { address: entry } : entry;
      return { addresses: [address], conditions: { ready: true }, ...rest };
    }),
  });
}

export function endpointsAre(
  name: Name,
  addresses: readonly Address[],
  ports?: Readonly<Record<string, number>>,
): Change {
  const object = split(name);
  const value = fromEndpointSlice(sliceObject(name, addresses, ports));
  return { kind: "endpoints", key: `${object.namespace}/${object.name}-1`, value };
}

/** What a test says of a route; everything else is as the API server would make it. */
export interface RouteInit {
  readonly parents?: readonly object[];
  readonly rules: readonly object[];
  readonly createdAt?: string;
  readonly generation?: number;
}

/** A parentRef to a Service of the route's namespace or another. */
export function parent(name: string, more: object = {}): object {
  return { group: "", kind: "Service", name, ...more };
}

export function routeObject(name: Name, init: RouteInit): GrpcRoute {
  return parse(kinds.grpcRoute, {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "GRPCRoute",
    metadata: {
      ...split(name),
      creationTimestamp: init.createdAt ?? "2026-01-01T00:00:00Z",
      generation: init.generation ?? 1,
    },
    spec: { parentRefs: init.parents ?? [parent("catalog")], rules: init.rules },
  });
}

export function routeIs(name: Name, init: RouteInit): Change {
  const object = split(name);
  return { kind: "route", key: routeKey(object.namespace, object.name), value: fromGrpcRoute(routeObject(name, init)) };
}

export function routeGone(name: Name): Change {
  const object = split(name);
  return { kind: "route", key: routeKey(object.namespace, object.name), value: undefined };
}

/** Lets GRPCRoutes of `from` name Services of `namespace`: all, or one. */
export function grantIs(namespace: string, from: string, service?: string): Change {
  const object = parse(kinds.referenceGrant, {
    apiVersion: "gateway.networking.k8s.io/v1beta1",
    kind: "ReferenceGrant",
    metadata: { name: "grant", namespace },
    spec: {
      from: [{ group: "gateway.networking.k8s.io", kind: "GRPCRoute", namespace: from }],
      to: [{ group: "", kind: "Service", ...(service === undefined ? {} : { name: service }) }],
    },
  });
  return { kind: "grant", key: `${namespace}/grant`, value: fromReferenceGrant(object) };
}

/** A Pod of the mesh, running and ready unless said otherwise; `port` is the name of its only port. */
export function podObject(
  name: Name,
  more: {
    readonly ip: string;
    readonly phase?: string;
    readonly ready?: boolean;
    readonly port?: string;
    readonly containerPort?: number;
    readonly uid?: string;
    readonly terminating?: boolean;
    readonly labels?: Readonly<Record<string, string>>;
  },
): Pod {
  const { ip, phase = "Running", ready = true, port = "admin", containerPort = 9464, terminating = false } = more;
  return parse(kinds.pod, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...split(name),
      uid: more.uid ?? `uid-${name}`,
      labels: more.labels ?? { "app.kubernetes.io/name": "catalog" },
      annotations: { note: "not needed" },
      ...(terminating ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}),
    },
    spec: { containers: [{ name: "main", image: "main", ports: [{ name: port, containerPort }] }] },
    status: { phase, podIP: ip, conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
  });
}
