export type { ObjectList, Unreadable, WatchEvent } from "./answers.js";
export {
  type CallOptions,
  createKubeClient,
  type DeleteOptions,
  type KubeClient,
  type ListOptions,
  type LogOptions,
  type Patch,
  type PatchOptions,
  pathOf,
  type Selection,
  type WatchOptions,
  type WriteOptions,
} from "./client.js";
export { inClusterServer, type KubeContext, loadKubeconfig, parseKubeconfig } from "./config.js";
export { isKubeError, type KubeDecision, KubeError, type KubeStatus, type StatusDetails } from "./error.js";
export type { HttpAnswer, HttpCall, KubeServer } from "./http.js";
export { type Informer, type InformerOptions, startInformer } from "./informer.js";
export type { IssuedToken, PolicyRule, Subject, TokenReviewStatus } from "./kinds/access.js";
export type {
  Condition,
  Container,
  ContainerPort,
  ContainerStatus,
  EnvVar,
  LabelSelector,
  PodSpec,
  PodStatus,
  PodTemplate,
  Probe,
  ServicePort,
  Volume,
} from "./kinds/core.js";
export type {
  GrpcBackendRef,
  GrpcRouteFilter,
  GrpcRouteMatch,
  GrpcRouteRule,
  ParentRef,
  RouteParentStatus,
} from "./kinds/gateway.js";
export {
  type ApiService,
  type ConfigMap,
  type CustomResourceDefinition,
  type Deployment,
  type EndpointSlice,
  type Event,
  type GrpcRoute,
  type KindOf,
  kinds,
  type Lease,
  type Namespace,
  type NetworkPolicy,
  type Node,
  type Pod,
  type ReferenceGrant,
  type ReplicaSet,
  type Secret,
  type Service,
  type ServiceAccount,
  type StatefulSet,
} from "./kinds/index.js";
export type { Endpoint, EndpointPort } from "./kinds/networking.js";
export { parseLabelSelector } from "./label-selector.js";
export {
  type AnyObject,
  anyKind,
  apiVersionOf,
  defineKind,
  isKind,
  type Kind,
  type KindInfo,
  type KubeObject,
  keyOf,
  type NewMeta,
  type NewObject,
  type ObjectMeta,
  type ObjectRef,
  type OwnerReference,
} from "./object.js";
export {
  flag,
  type Infer,
  intOrText,
  isRecord,
  json,
  list,
  map,
  number,
  type OptionalShape,
  object,
  optional,
  parseShape,
  type Shape,
  text,
  words,
} from "./shape.js";
