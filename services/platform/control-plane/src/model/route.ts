import type { RouteKey, ServiceKey } from "./keys.js";

/** A GRPCRoute as far as its parents are Services. Words that are not known are kept: translation refuses them by name. */
export interface MeshRoute {
  readonly key: RouteKey;
  readonly namespace: string;
  readonly name: string;
  /** RFC 3339; orders routes that say the same. */
  readonly createdAt: string;
  readonly generation: number;
  readonly parents: readonly RouteParent[];
  readonly rules: readonly RouteRule[];
}

/** A parentRef of kind Service. */
export interface RouteParent {
  readonly service: ServiceKey;
  readonly port: number | undefined;
  readonly sectionName: string | undefined;
  /** As the author wrote it: its status must name it alike. */
  readonly ref: ParentReference;
}

export interface ParentReference {
  readonly group?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name: string;
  readonly sectionName?: string;
  readonly port?: number;
}

export interface RouteRule {
  readonly matches: readonly RouteMatch[];
  readonly filters: readonly RouteFilter[];
  readonly backends: readonly RouteBackend[];
  /** Fields, as paths, that mean something to the author and nothing here: translation refuses them by name. */
  readonly unknown: readonly string[];
}

export interface RouteMatch {
  readonly method: MethodMatch | undefined;
  readonly headers: readonly HeaderMatch[];
}

export interface MethodMatch {
  readonly type: string;
  readonly service: string | undefined;
  readonly method: string | undefined;
}

export interface HeaderMatch {
  readonly type: string;
  readonly name: string;
  readonly value: string;
}

export interface RouteFilter {
  readonly type: string;
  readonly change: HeaderChange | undefined;
}

export interface HeaderChange {
  readonly set: readonly Header[];
  readonly add: readonly Header[];
  readonly remove: readonly string[];
}

export interface Header {
  readonly name: string;
  readonly value: string;
}

export interface RouteBackend {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly port: number | undefined;
  readonly weight: number;
  readonly filters: readonly RouteFilter[];
}

/** A ReferenceGrant: who may name Services of its namespace. */
export interface Grant {
  readonly namespace: string;
  /** Namespaces whose GRPCRoutes may. */
  readonly fromNamespaces: readonly string[];
  /** Services that may be named. */
  readonly services: { readonly t: "all" } | { readonly t: "named"; readonly names: ReadonlySet<string> };
}
