import { defineKind } from "../object.js";
import { flag, type Infer, json, list, number, object, optional, text, words } from "../shape.js";
import { condition } from "./core.js";

const parentRef = object({
  group: optional(text),
  kind: optional(text),
  namespace: optional(text),
  name: text,
  sectionName: optional(text),
  port: optional(number),
});

const headerMatch = object({ type: optional(words("Exact", "RegularExpression")), name: text, value: text });
const methodMatch = object({
  type: optional(words("Exact", "RegularExpression")),
  service: optional(text),
  method: optional(text),
});
const header = object({ name: text, value: text });
const headerChange = object({
  set: optional(list(header)),
  add: optional(list(header)),
  remove: optional(list(text)),
});
const backendObject = object({
  group: optional(text),
  kind: optional(text),
  namespace: optional(text),
  name: text,
  port: optional(number),
});
const filter = object({
  type: words("RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef"),
  requestHeaderModifier: optional(headerChange),
  responseHeaderModifier: optional(headerChange),
  requestMirror: optional(
    object({
      backendRef: backendObject,
      percent: optional(number),
      fraction: optional(object({ numerator: number, denominator: optional(number) })),
    }),
  ),
  extensionRef: optional(object({ group: text, kind: text, name: text })),
});
const backendRef = object({
  group: optional(text),
  kind: optional(text),
  namespace: optional(text),
  name: text,
  port: optional(number),
  weight: optional(number),
  filters: optional(list(filter)),
});
const match = object({ method: optional(methodMatch), headers: optional(list(headerMatch)) });
const rule = object({
  name: optional(text),
  matches: optional(list(match)),
  filters: optional(list(filter)),
  backendRefs: optional(list(backendRef)),
  sessionPersistence: optional(json),
});
const parentStatus = object({
  parentRef,
  controllerName: text,
  conditions: optional(list(condition)),
});

/** Gateway API GRPCRoute (GAMMA: its parents are Services). */
export const grpcRoute = defineKind(
  { group: "gateway.networking.k8s.io", version: "v1", kind: "GRPCRoute", plural: "grpcroutes", namespaced: true },
  object({
    spec: object({
      parentRefs: optional(list(parentRef)),
      hostnames: optional(list(text)),
      rules: optional(list(rule)),
      useDefaultGateways: optional(text),
    }),
    status: optional(object({ parents: list(parentStatus) })),
  }),
);

/** Lets routes of other namespaces name Services here. Served as v1 since Gateway API 1.5, as v1beta1 everywhere. */
export const referenceGrant = defineKind(
  {
    group: "gateway.networking.k8s.io",
    version: "v1beta1",
    kind: "ReferenceGrant",
    plural: "referencegrants",
    namespaced: true,
  },
  object({
    spec: object({
      from: list(object({ group: text, kind: text, namespace: text })),
      to: list(object({ group: text, kind: text, name: optional(text) })),
    }),
  }),
);

const crdVersion = object({
  name: text,
  served: flag,
  storage: flag,
  schema: optional(object({ openAPIV3Schema: optional(json) })),
  subresources: optional(object({ status: optional(json), scale: optional(json) })),
  additionalPrinterColumns: optional(list(json)),
});

export const customResourceDefinition = defineKind(
  {
    group: "apiextensions.k8s.io",
    version: "v1",
    kind: "CustomResourceDefinition",
    plural: "customresourcedefinitions",
    namespaced: false,
  },
  object({
    spec: object({
      group: text,
      scope: words("Namespaced", "Cluster"),
      names: object({
        plural: text,
        singular: optional(text),
        kind: text,
        listKind: optional(text),
        shortNames: optional(list(text)),
        categories: optional(list(text)),
      }),
      versions: list(crdVersion),
    }),
    status: optional(object({ conditions: optional(list(condition)) })),
  }),
);

export type ParentRef = Infer<typeof parentRef>;
export type GrpcRouteRule = Infer<typeof rule>;
export type GrpcRouteMatch = Infer<typeof match>;
export type GrpcRouteFilter = Infer<typeof filter>;
export type GrpcBackendRef = Infer<typeof backendRef>;
export type RouteParentStatus = Infer<typeof parentStatus>;
