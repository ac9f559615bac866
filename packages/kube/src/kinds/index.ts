import type { Kind } from "../object.js";
import * as access from "./access.js";
import * as aggregation from "./aggregation.js";
import * as apps from "./apps.js";
import * as core from "./core.js";
import * as gateway from "./gateway.js";
import * as networking from "./networking.js";

/** The kinds that Weft reads and writes, typed as deep as it uses them; unknown fields are kept. */
export const kinds = {
  namespace: core.namespace,
  service: core.service,
  pod: core.pod,
  node: core.node,
  secret: core.secret,
  configMap: core.configMap,
  serviceAccount: core.serviceAccount,
  event: core.event,
  deployment: apps.deployment,
  replicaSet: apps.replicaSet,
  statefulSet: apps.statefulSet,
  horizontalPodAutoscaler: apps.horizontalPodAutoscaler,
  podDisruptionBudget: apps.podDisruptionBudget,
  lease: apps.lease,
  endpointSlice: networking.endpointSlice,
  networkPolicy: networking.networkPolicy,
  role: access.role,
  roleBinding: access.roleBinding,
  clusterRole: access.clusterRole,
  clusterRoleBinding: access.clusterRoleBinding,
  grpcRoute: gateway.grpcRoute,
  referenceGrant: gateway.referenceGrant,
  apiService: aggregation.apiService,
  customResourceDefinition: gateway.customResourceDefinition,
} as const;

/** The type of a kind's objects. */
export type KindOf<K> = K extends Kind<infer T> ? T : never;

export type ApiService = KindOf<typeof aggregation.apiService>;
export type Namespace = KindOf<typeof core.namespace>;
export type Service = KindOf<typeof core.service>;
export type Pod = KindOf<typeof core.pod>;
export type Node = KindOf<typeof core.node>;
export type Secret = KindOf<typeof core.secret>;
export type ConfigMap = KindOf<typeof core.configMap>;
export type ServiceAccount = KindOf<typeof core.serviceAccount>;
export type Event = KindOf<typeof core.event>;
export type Deployment = KindOf<typeof apps.deployment>;
export type ReplicaSet = KindOf<typeof apps.replicaSet>;
export type StatefulSet = KindOf<typeof apps.statefulSet>;
export type Lease = KindOf<typeof apps.lease>;
export type EndpointSlice = KindOf<typeof networking.endpointSlice>;
export type NetworkPolicy = KindOf<typeof networking.networkPolicy>;
export type GrpcRoute = KindOf<typeof gateway.grpcRoute>;
export type ReferenceGrant = KindOf<typeof gateway.referenceGrant>;
export type CustomResourceDefinition = KindOf<typeof gateway.customResourceDefinition>;
