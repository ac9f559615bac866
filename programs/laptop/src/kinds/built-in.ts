// The kinds that the laptop serves by itself: a table, long because there are many. Each entry is what is different about its kind.
import { isRecord } from "@weft/kube";
import { apiServiceColumns, apiServiceSpec, apiServiceStatus, checkApiService } from "./api-service.js";
import { autoscalerSpec, autoscalerStatus, checkAutoscaler, completeAutoscaler } from "./autoscaler.js";
import * as columns from "./columns.js";
import { at, listAt, recordAt, textAt } from "./path.js";
import { podSpecSchema, podStatusSchema, podTemplateSchema } from "./pod-schema.js";
import type { Json, ResourceKind } from "./resource-kind.js";
import { checkGrpcRoute } from "./route-rules.js";
import { grpcRouteSpec, referenceGrantSpec, routeStatus } from "./route-schema.js";
import {
  checkBinding,
  checkBudget,
  checkData,
  checkEndpointSlice,
  checkPod,
  checkService,
  checkWorkload,
} from "./rules.js";
import {
  anyObject,
  anything,
  bool,
  conditionsSchema,
  dnsLabel,
  int,
  intOrString,
  labelSelectorSchema,
  list,
  listBy,
  mapOf,
  metadataSchema,
  obj,
  oneOf,
  port,
  quantity,
  type Schema,
  setOf,
  str,
  strMap,
  time,
} from "./schema.js";

type Entry = Pick<ResourceKind, "kind" | "plural"> &
  Partial<Omit<ResourceKind, "schema">> & { readonly fields: Record<string, Schema> };

function define(entry: Entry): ResourceKind {
  const { fields, ...rest } = entry;
  const hasStatus = "status" in fields;
  return {
    group: "",
    versions: ["v1"],
    singular: entry.kind.toLowerCase(),
    shortNames: [],
    categories: [],
    namespaced: true,
    builtIn: true,
    columns: columns.plainColumns,
    hasStatus,
    hasGeneration: hasStatus,
    scale: false,
    selectableFields: [],
    nameFormat: "subdomain",
    schema: obj({ apiVersion: str(), kind: str(), metadata: metadataSchema, ...fields }),
    ...rest,
  };
}

const generation = int({ format: "int64" });
const replicas = int({ minimum: 0, default: 1 });

const namespace = define({
  kind: "Namespace",
  plural: "namespaces",
  shortNames: ["ns"],
  namespaced: false,
  nameFormat: "label",
  columns: columns.namespaceColumns,
  hasGeneration: false,
  selectableFields: ["status.phase"],
  fields: {
    spec: obj({ finalizers: list(str()) }),
    status: obj({ phase: str(), conditions: conditionsSchema }),
  },
  complete: (object) => {
    const name = textAt(object, "metadata", "name");
    const labels = { ...recordAt(object, "metadata", "labels"), "kubernetes.io/metadata.name": name };
    return {
      ...object,
      metadata: { ...recordAt(object, "metadata"), labels },
      spec: { finalizers: ["kubernetes"], ...recordAt(object, "spec") },
      status: { phase: "Active", ...recordAt(object, "status") },
    };
  },
});

const pod = define({
  kind: "Pod",
  plural: "pods",
  shortNames: ["po"],
  categories: ["all"],
  columns: columns.podColumns,
  selectableFields: [
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
  ],
  fields: { "spec!": podSpecSchema, status: podStatusSchema },
  complete: (object) => {
    const spec = recordAt(object, "spec");
    const account = textAt(spec, "serviceAccountName") || textAt(spec, "serviceAccount") || "default";
    return {
      ...object,
      spec: { ...completePodSpec(spec), serviceAccountName: account, serviceAccount: account },
      status: { phase: "Pending", ...recordAt(object, "status") },
    };
  },
  check: checkPod,
});

/** What the API server adds to a Pod's spec beyond plain defaults. */
function completePodSpec(spec: Json): Json {
  const complete = (container: unknown): unknown => {
    if (!isRecord(container)) return container;
    const image = textAt(container, "image");
    const tag = image.includes("@") ? "digest" : image.slice(image.lastIndexOf("/") + 1).split(":")[1];
    const pull = tag === undefined || tag === "latest" ? "Always" : "IfNotPresent";
    return { imagePullPolicy: pull, ...container };
  };
  const lists: Record<string, unknown> = {};
  for (const name of ["containers", "initContainers"]) {
    if (spec[name] !== undefined) lists[name] = listAt(spec, name).map(complete);
  }
  return { ...spec, ...lists };
}

function completeTemplate(object: Json): Json {
  const spec = recordAt(object, "spec");
  const template = recordAt(spec, "template");
  if (!isRecord(template["spec"])) return object;
  return { ...object, spec: { ...spec, template: { ...template, spec: completePodSpec(template["spec"]) } } };
}

const servicePort = obj({
  name: str({ maxLength: 63, pattern: `^$|${dnsLabel}` }),
  protocol: { ...oneOf("TCP", "UDP", "SCTP"), default: "TCP" },
  appProtocol: str(),
  "port!": port(),
  targetPort: intOrString(),
  nodePort: int({ minimum: 0, maximum: 65_535 }),
});

const service = define({
  kind: "Service",
  plural: "services",
  shortNames: ["svc"],
  categories: ["all"],
  nameFormat: "label",
  columns: columns.serviceColumns,
  hasGeneration: false,
  selectableFields: ["spec.clusterIP", "spec.type"],
  fields: {
    "spec!": obj({
      type: { ...oneOf("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"), default: "ClusterIP" },
      selector: { ...strMap(), "x-kubernetes-map-type": "atomic" },
      ports: listBy(["port", "protocol"], servicePort),
      clusterIP: str(),
      clusterIPs: list(str()),
      externalIPs: list(str()),
      externalName: str(),
      externalTrafficPolicy: str(),
      internalTrafficPolicy: str({ default: "Cluster" }),
      healthCheckNodePort: int(),
      ipFamilies: list(str()),
      ipFamilyPolicy: str(),
      loadBalancerClass: str(),
      loadBalancerIP: str(),
      loadBalancerSourceRanges: list(str()),
      allocateLoadBalancerNodePorts: bool(),
      publishNotReadyAddresses: bool(),
      sessionAffinity: { ...oneOf("None", "ClientIP"), default: "None" },
      sessionAffinityConfig: anyObject(),
      trafficDistribution: str(),
    }),
    status: obj({
      conditions: conditionsSchema,
      loadBalancer: obj({
        ingress: list(obj({ ip: str(), hostname: str(), ipMode: str(), ports: list(anyObject()) })),
      }),
    }),
  },
  complete: (object) => {
    const ports = listAt(object, "spec", "ports").map((entry) =>
      isRecord(entry) && entry["targetPort"] === undefined ? { ...entry, targetPort: entry["port"] } : entry,
    );
    const spec = { ...recordAt(object, "spec"), ...(ports.length === 0 ? {} : { ports }) };
    return { ...object, spec, status: { loadBalancer: {}, ...recordAt(object, "status") } };
  },
  check: checkService,
});

const node = define({
  kind: "Node",
  plural: "nodes",
  shortNames: ["no"],
  namespaced: false,
  columns: columns.nodeColumns,
  hasGeneration: false,
  selectableFields: ["spec.unschedulable"],
  fields: {
    spec: obj({
      podCIDR: str(),
      podCIDRs: setOf(str()),
      providerID: str(),
      unschedulable: bool(),
      taints: list(anyObject()),
      configSource: anyObject(),
      externalID: str(),
    }),
    status: obj({
      conditions: conditionsSchema,
      addresses: listBy(["type"], obj({ "type!": str(), "address!": str() })),
      capacity: mapOf(quantity()),
      allocatable: mapOf(quantity()),
      nodeInfo: anyObject(),
      phase: str(),
      images: list(anyObject()),
      daemonEndpoints: anyObject(),
      config: anyObject(),
      features: anyObject(),
      declaredFeatures: list(str()),
      runtimeHandlers: list(anyObject()),
      volumesAttached: list(anyObject()),
      volumesInUse: list(str()),
    }),
  },
});

const secret = define({
  kind: "Secret",
  plural: "secrets",
  columns: columns.secretColumns,
  selectableFields: ["type"],
  fields: { type: str({ default: "Opaque" }), data: strMap(), stringData: strMap(), immutable: bool() },
  complete: (object) => {
    const { stringData, ...rest } = object;
    if (!isRecord(stringData)) return rest;
    const encoded = Object.fromEntries(
      Object.entries(stringData).map(([key, value]) => [key, Buffer.from(String(value), "utf8").toString("base64")]),
    );
    return { ...rest, data: { ...recordAt(rest, "data"), ...encoded } };
  },
  check: checkData,
});

const configMap = define({
  kind: "ConfigMap",
  plural: "configmaps",
  shortNames: ["cm"],
  columns: columns.configMapColumns,
  fields: { data: strMap(), binaryData: strMap(), immutable: bool() },
  check: checkData,
});

const serviceAccount = define({
  kind: "ServiceAccount",
  plural: "serviceaccounts",
  shortNames: ["sa"],
  fields: {
    automountServiceAccountToken: bool(),
    secrets: listBy(["name"], anyObject()),
    imagePullSecrets: listBy(["name"], anyObject()),
  },
});

const event = define({
  kind: "Event",
  plural: "events",
  shortNames: ["ev"],
  columns: columns.eventColumns,
  ephemeral: true,
  selectableFields: [
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
  ],
  fields: {
    "involvedObject!": anyObject(),
    reason: str(),
    message: str(),
    source: obj({ component: str(), host: str() }),
    firstTimestamp: { ...time(), nullable: true },
    lastTimestamp: { ...time(), nullable: true },
    eventTime: { ...time(), nullable: true },
    count: int(),
    type: str(),
    series: anyObject(),
    action: str(),
    related: anyObject(),
    reportingComponent: str({ default: "" }),
    reportingInstance: str({ default: "" }),
  },
});

const deployment = define({
  group: "apps",
  kind: "Deployment",
  plural: "deployments",
  shortNames: ["deploy"],
  categories: ["all"],
  columns: columns.deploymentColumns,
  scale: true,
  fields: {
    "spec!": obj({
      replicas,
      "selector!": labelSelectorSchema,
      "template!": podTemplateSchema,
      strategy: obj(
        {
          type: { ...oneOf("RollingUpdate", "Recreate"), default: "RollingUpdate" },
          rollingUpdate: obj({ maxSurge: intOrString(), maxUnavailable: intOrString() }),
        },
        { default: {} },
      ),
      minReadySeconds: int({ minimum: 0 }),
      revisionHistoryLimit: int({ minimum: 0, default: 10 }),
      progressDeadlineSeconds: int({ minimum: 0, default: 600 }),
      paused: bool(),
    }),
    status: obj({
      observedGeneration: generation,
      replicas: int(),
      updatedReplicas: int(),
      readyReplicas: int(),
      availableReplicas: int(),
      unavailableReplicas: int(),
      terminatingReplicas: int(),
      conditions: conditionsSchema,
      collisionCount: int(),
    }),
  },
  complete: (object) => {
    const spec = recordAt(object, "spec");
    const strategy = recordAt(spec, "strategy");
    if (strategy["type"] === "Recreate") return completeTemplate(object);
    const rollingUpdate = { maxSurge: "25%", maxUnavailable: "25%", ...recordAt(strategy, "rollingUpdate") };
    return completeTemplate({ ...object, spec: { ...spec, strategy: { ...strategy, rollingUpdate } } });
  },
  check: checkWorkload,
});

const replicaSet = define({
  group: "apps",
  kind: "ReplicaSet",
  plural: "replicasets",
  shortNames: ["rs"],
  categories: ["all"],
  columns: columns.replicaSetColumns,
  scale: true,
  selectableFields: ["status.replicas"],
  fields: {
    "spec!": obj({
      replicas,
      "selector!": labelSelectorSchema,
      template: podTemplateSchema,
      minReadySeconds: int({ minimum: 0 }),
    }),
    status: obj({
      observedGeneration: generation,
      replicas: int(),
      fullyLabeledReplicas: int(),
      readyReplicas: int(),
      availableReplicas: int(),
      terminatingReplicas: int(),
      conditions: conditionsSchema,
    }),
  },
  complete: completeTemplate,
  check: checkWorkload,
});

const statefulSet = define({
  group: "apps",
  kind: "StatefulSet",
  plural: "statefulsets",
  shortNames: ["sts"],
  categories: ["all"],
  columns: columns.statefulSetColumns,
  scale: true,
  fields: {
    "spec!": obj({
      replicas,
      serviceName: str(),
      "selector!": labelSelectorSchema,
      "template!": podTemplateSchema,
      volumeClaimTemplates: list(anyObject()),
      podManagementPolicy: str({ default: "OrderedReady" }),
      updateStrategy: anyObject(),
      revisionHistoryLimit: int({ default: 10 }),
      minReadySeconds: int(),
      ordinals: anyObject(),
      persistentVolumeClaimRetentionPolicy: anyObject(),
    }),
    status: anyObject(),
  },
  complete: completeTemplate,
  check: checkWorkload,
});

const autoscaler = define({
  group: "autoscaling",
  versions: ["v2"],
  kind: "HorizontalPodAutoscaler",
  plural: "horizontalpodautoscalers",
  shortNames: ["hpa"],
  categories: ["all"],
  columns: columns.autoscalerColumns,
  fields: { spec: autoscalerSpec, status: autoscalerStatus },
  complete: completeAutoscaler,
  check: checkAutoscaler,
});

const budget = define({
  group: "policy",
  kind: "PodDisruptionBudget",
  plural: "poddisruptionbudgets",
  shortNames: ["pdb"],
  columns: columns.budgetColumns,
  fields: {
    spec: obj({
      minAvailable: intOrString(),
      maxUnavailable: intOrString(),
      selector: labelSelectorSchema,
      unhealthyPodEvictionPolicy: oneOf("IfHealthyBudget", "AlwaysAllow"),
    }),
    status: obj({
      observedGeneration: generation,
      disruptionsAllowed: int(),
      currentHealthy: int(),
      desiredHealthy: int(),
      expectedPods: int(),
      disruptedPods: mapOf(time()),
      conditions: conditionsSchema,
    }),
  },
  check: checkBudget,
});

const lease = define({
  group: "coordination.k8s.io",
  kind: "Lease",
  plural: "leases",
  columns: columns.leaseColumns,
  fields: {
    spec: obj({
      holderIdentity: str(),
      leaseDurationSeconds: int({ minimum: 1 }),
      acquireTime: time(),
      renewTime: time(),
      leaseTransitions: int({ minimum: 0 }),
      preferredHolder: str(),
      strategy: str(),
    }),
  },
});

const endpointSlice = define({
  group: "discovery.k8s.io",
  kind: "EndpointSlice",
  plural: "endpointslices",
  columns: columns.endpointSliceColumns,
  hasGeneration: true,
  fields: {
    "addressType!": oneOf("IPv4", "IPv6", "FQDN"),
    endpoints: list(
      obj({
        "addresses!": list(str(), { minItems: 1, maxItems: 100 }),
        conditions: obj({ ready: bool(), serving: bool(), terminating: bool() }),
        hostname: str(),
        nodeName: str(),
        zone: str(),
        deprecatedTopology: strMap(),
        targetRef: anyObject(),
        hints: anyObject(),
      }),
      { maxItems: 1000 },
    ),
    ports: list(
      obj({
        name: str({ default: "" }),
        port: int({ minimum: 0, maximum: 65_535 }),
        protocol: { ...oneOf("TCP", "UDP", "SCTP"), default: "TCP" },
        appProtocol: str(),
      }),
      { maxItems: 20_000 },
    ),
  },
  check: checkEndpointSlice,
});

const policyPorts = list(
  obj({ protocol: { ...oneOf("TCP", "UDP", "SCTP"), default: "TCP" }, port: intOrString(), endPort: int() }),
);
const policyPeers = list(
  obj({
    podSelector: labelSelectorSchema,
    namespaceSelector: labelSelectorSchema,
    ipBlock: obj({ "cidr!": str(), except: list(str()) }),
  }),
);

const networkPolicy = define({
  group: "networking.k8s.io",
  kind: "NetworkPolicy",
  plural: "networkpolicies",
  shortNames: ["netpol"],
  columns: columns.networkPolicyColumns,
  hasGeneration: true,
  fields: {
    spec: obj({
      podSelector: labelSelectorSchema,
      policyTypes: list(oneOf("Ingress", "Egress")),
      ingress: list(obj({ from: policyPeers, ports: policyPorts })),
      egress: list(obj({ to: policyPeers, ports: policyPorts })),
    }),
  },
});

const rules = list(
  obj({
    "verbs!": list(str()),
    apiGroups: list(str()),
    resources: list(str()),
    resourceNames: list(str()),
    nonResourceURLs: list(str()),
  }),
);
const subjects = list(
  obj({ "kind!": oneOf("ServiceAccount", "User", "Group"), apiGroup: str(), "name!": str(), namespace: str() }),
);
const roleRef = obj(
  { apiGroup: str({ default: "rbac.authorization.k8s.io" }), "kind!": str(), "name!": str() },
  { "x-kubernetes-map-type": "atomic" },
);
const rbac = { group: "rbac.authorization.k8s.io", nameFormat: "path-segment" } as const;

const role = define({ ...rbac, kind: "Role", plural: "roles", columns: columns.createdColumns, fields: { rules } });
const clusterRole = define({
  ...rbac,
  kind: "ClusterRole",
  plural: "clusterroles",
  namespaced: false,
  columns: columns.createdColumns,
  fields: { rules, aggregationRule: anyObject() },
});
const roleBinding = define({
  ...rbac,
  kind: "RoleBinding",
  plural: "rolebindings",
  columns: columns.bindingColumns,
  fields: { subjects, "roleRef!": roleRef },
  check: checkBinding,
});
const clusterRoleBinding = define({
  ...rbac,
  kind: "ClusterRoleBinding",
  plural: "clusterrolebindings",
  namespaced: false,
  columns: columns.bindingColumns,
  fields: { subjects, "roleRef!": roleRef },
  check: checkBinding,
});

const gateway = { group: "gateway.networking.k8s.io", categories: ["gateway-api"], builtIn: false } as const;

const grpcRoute = define({
  ...gateway,
  kind: "GRPCRoute",
  plural: "grpcroutes",
  columns: columns.grpcRouteColumns,
  hasGeneration: true,
  fields: { "spec!": grpcRouteSpec, status: routeStatus },
  check: checkGrpcRoute,
});
const referenceGrant = define({
  ...gateway,
  versions: ["v1beta1", "v1"],
  kind: "ReferenceGrant",
  plural: "referencegrants",
  shortNames: ["refgrant"],
  hasGeneration: true,
  fields: { "spec!": referenceGrantSpec },
});

const apiService = define({
  group: "apiregistration.k8s.io",
  kind: "APIService",
  plural: "apiservices",
  categories: ["api-extensions"],
  namespaced: false,
  columns: apiServiceColumns,
  nameFormat: "path-segment",
  fields: { "spec!": apiServiceSpec, status: apiServiceStatus },
  check: checkApiService,
});

const customResourceDefinition = define({
  group: "apiextensions.k8s.io",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions",
  shortNames: ["crd", "crds"],
  categories: ["api-extensions"],
  namespaced: false,
  columns: columns.createdColumns,
  fields: {
    "spec!": obj({
      "group!": str(),
      "scope!": oneOf("Cluster", "Namespaced"),
      "names!": obj({
        "plural!": str(),
        singular: str(),
        "kind!": str(),
        listKind: str(),
        shortNames: list(str()),
        categories: list(str()),
      }),
      "versions!": list(
        obj({
          "name!": str(),
          "served!": bool(),
          "storage!": bool(),
          deprecated: bool(),
          deprecationWarning: str(),
          schema: obj({ openAPIV3Schema: anything() }),
          subresources: obj({ status: anything(), scale: anything() }),
          additionalPrinterColumns: list(anyObject()),
          selectableFields: list(anyObject()),
        }),
        { minItems: 1 },
      ),
      conversion: { ...anyObject(), default: { strategy: "None" } },
      preserveUnknownFields: bool(),
    }),
    status: anyObject(),
  },
  complete: (object) => {
    const names = recordAt(object, "spec", "names");
    const kind = textAt(names, "kind");
    const complete = { singular: kind.toLowerCase(), listKind: `${kind}List`, ...names };
    return { ...object, spec: { ...recordAt(object, "spec"), names: complete } };
  },
  check: (object) => {
    const expected = `${textAt(object, "spec", "names", "plural")}.${textAt(object, "spec", "group")}`;
    if (at(object, "metadata", "name") === expected) return [];
    return [
      {
        field: "metadata.name",
        reason: "FieldValueInvalid",
        message: `Invalid value: ${JSON.stringify(at(object, "metadata", "name"))}: must be spec.names.plural+"."+spec.group`,
      },
    ];
  },
});

/** Every kind that is there before any CustomResourceDefinition. */
export const builtInKinds: readonly ResourceKind[] = [
  namespace,
  pod,
  service,
  node,
  secret,
  configMap,
  serviceAccount,
  event,
  deployment,
  replicaSet,
  statefulSet,
  autoscaler,
  budget,
  lease,
  endpointSlice,
  networkPolicy,
  role,
  clusterRole,
  roleBinding,
  clusterRoleBinding,
  grpcRoute,
  referenceGrant,
  apiService,
  customResourceDefinition,
];
