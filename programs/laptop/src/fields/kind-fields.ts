import {
  all,
  each,
  type FieldClass,
  type FieldTable,
  fields,
  honoured,
  meaningless,
  only,
  refused,
} from "./field-class.js";
import { podSpec } from "./pod-fields.js";

const noNetwork = meaningless("nothing stands between the Pods of one machine");
const noNames = refused("the metric of each Pod is asked for, whatever its labels");

const metadata = fields({
  ...all(["name", "namespace", "labels", "annotations"], honoured),
  ...all(["finalizers", "ownerReferences"], refused("controllers write it")),
  generateName: refused("a manifest names what it describes"),
  ...all(
    [
      "uid",
      "resourceVersion",
      "generation",
      "creationTimestamp",
      "deletionTimestamp",
      "deletionGracePeriodSeconds",
      "managedFields",
      "selfLink",
    ],
    refused("the API writes it"),
  ),
});

const selector = fields({
  matchLabels: honoured,
  matchExpressions: each({ key: honoured, operator: honoured, values: honoured }),
});

const template = fields({ metadata, spec: podSpec });

const service: FieldTable = {
  spec: fields({
    type: only(["ClusterIP", "LoadBalancer"], "a Service is a ClusterIP or a LoadBalancer"),
    selector: honoured,
    ports: each({
      ...all(["name", "port", "targetPort", "appProtocol"], honoured),
      protocol: only(["TCP"], "the mesh speaks TCP"),
      nodePort: refused("make the Service a LoadBalancer: it is at 127.0.0.1 with its own port"),
    }),
    clusterIP: only(["None", ""], "names lead straight to Pods: there is no address between"),
    clusterIPs: refused("names lead straight to Pods: there is no address between"),
    publishNotReadyAddresses: honoured,
    sessionAffinity: only(["None"], "names lead straight to Pods: nobody would remember the client"),
    sessionAffinityConfig: refused("names lead straight to Pods: nobody would remember the client"),
    ...all(["externalIPs", "externalName", "loadBalancerIP"], refused("a Service is at 127.0.0.1 or inside")),
    loadBalancerSourceRanges: meaningless("a LoadBalancer is at 127.0.0.1: only this machine reaches it"),
    ...all(
      [
        "externalTrafficPolicy",
        "internalTrafficPolicy",
        "trafficDistribution",
        "healthCheckNodePort",
        "allocateLoadBalancerNodePorts",
        "loadBalancerClass",
      ],
      meaningless("there is one node"),
    ),
    ...all(["ipFamilies", "ipFamilyPolicy"], meaningless("Pods have loopback addresses")),
  }),
};

const deployment: FieldTable = {
  spec: fields({
    ...all(["replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds", "paused"], honoured),
    selector,
    template,
    strategy: fields({
      type: honoured,
      rollingUpdate: fields({ maxSurge: honoured, maxUnavailable: honoured }),
    }),
  }),
};

const scalingRules = fields({
  ...all(["stabilizationWindowSeconds", "selectPolicy", "tolerance"], honoured),
  policies: each({ type: honoured, value: honoured, periodSeconds: honoured }),
});
const autoscaler: FieldTable = {
  spec: fields({
    scaleTargetRef: fields({
      apiVersion: honoured,
      kind: only(["Deployment"], "it scales Deployments"),
      name: honoured,
    }),
    minReplicas: honoured,
    maxReplicas: honoured,
    metrics: each({
      type: only(["Pods"], "a process has no share of the machine to measure: scale on a metric of type Pods"),
      pods: fields({
        metric: fields({ name: honoured, selector: noNames }),
        target: fields({ type: honoured, averageValue: honoured }),
      }),
    }),
    behavior: fields({ scaleUp: scalingRules, scaleDown: scalingRules }),
  }),
};

const apiService: FieldTable = {
  spec: fields({
    service: fields({ namespace: honoured, name: honoured, port: honoured }),
    ...all(["group", "version", "caBundle", "groupPriorityMinimum", "versionPriority"], honoured),
    insecureSkipTLSVerify: only([false], "a server that nobody can tell from another gets no requests"),
  }),
};

const policyPorts = each({ protocol: noNetwork, port: noNetwork, endPort: noNetwork });
const policyPeers = each({
  podSelector: noNetwork,
  namespaceSelector: noNetwork,
  ipBlock: fields({ cidr: noNetwork, except: noNetwork }),
});
const networkPolicy: FieldTable = {
  spec: fields({
    podSelector: noNetwork,
    policyTypes: noNetwork,
    ingress: each({ from: policyPeers, ports: policyPorts }),
    egress: each({ to: policyPeers, ports: policyPorts }),
  }),
};

const rules = each(all(["apiGroups", "resources", "resourceNames", "verbs", "nonResourceURLs"], honoured));
const binding: FieldTable = {
  roleRef: fields(all(["apiGroup", "kind", "name"], honoured)),
  subjects: each(all(["apiGroup", "kind", "name", "namespace"], honoured)),
};

const backend: FieldTable = all(["group", "kind", "name", "namespace", "port"], honoured);
const header: FieldTable = { name: honoured, value: honoured };
const headerChange = fields({ set: each(header), add: each(header), remove: honoured });
const filters = each({
  type: honoured,
  requestHeaderModifier: headerChange,
  responseHeaderModifier: headerChange,
  requestMirror: fields({
    backendRef: fields(backend),
    percent: honoured,
    fraction: fields({ numerator: honoured, denominator: honoured }),
  }),
  extensionRef: fields({ group: honoured, kind: honoured, name: honoured }),
});
const grpcRoute: FieldTable = {
  spec: fields({
    hostnames: honoured,
    parentRefs: each({ ...backend, sectionName: honoured }),
    rules: each({
      name: honoured,
      matches: each({
        method: fields({ type: honoured, service: honoured, method: honoured }),
        headers: each({ type: honoured, ...header }),
      }),
      filters,
      backendRefs: each({ ...backend, weight: honoured, filters }),
    }),
  }),
};

const names = fields(all(["group", "kind", "name", "namespace"], honoured));

/** Every kind that a manifest may hold, by `apiVersion/kind`: its fields beside apiVersion, kind, metadata and status. */
const kinds: Readonly<Record<string, FieldTable>> = {
  "v1/Namespace": { spec: fields({ finalizers: refused("controllers write it") }) },
  "v1/ServiceAccount": {
    automountServiceAccountToken: only([false], "ask for a token by a projected volume"),
    secrets: refused("ask for a token by a projected volume"),
    imagePullSecrets: meaningless("images are the bundles of this checkout"),
  },
  "v1/ConfigMap": all(["data", "binaryData", "immutable"], honoured),
  "v1/Secret": all(["type", "data", "stringData", "immutable"], honoured),
  "v1/Service": service,
  "v1/Pod": { spec: podSpec },
  "apps/v1/Deployment": deployment,
  "networking.k8s.io/v1/NetworkPolicy": networkPolicy,
  "rbac.authorization.k8s.io/v1/Role": { rules },
  "rbac.authorization.k8s.io/v1/ClusterRole": { rules, aggregationRule: refused("name the rules themselves") },
  "rbac.authorization.k8s.io/v1/RoleBinding": binding,
  "rbac.authorization.k8s.io/v1/ClusterRoleBinding": binding,
  "policy/v1/PodDisruptionBudget": {
    spec: fields({ selector, ...all(["minAvailable", "maxUnavailable", "unhealthyPodEvictionPolicy"], honoured) }),
  },
  "autoscaling/v2/HorizontalPodAutoscaler": autoscaler,
  "coordination.k8s.io/v1/Lease": { spec: honoured },
  "apiregistration.k8s.io/v1/APIService": apiService,
  "gateway.networking.k8s.io/v1/GRPCRoute": grpcRoute,
  "gateway.networking.k8s.io/v1/ReferenceGrant": { spec: fields({ from: each(names), to: each(names) }) },
  "gateway.networking.k8s.io/v1beta1/ReferenceGrant": { spec: fields({ from: each(names), to: each(names) }) },
  "apiextensions.k8s.io/v1/CustomResourceDefinition": { spec: honoured },
};

/** The classes of all fields of a kind; `undefined` for a kind that the laptop does not have. */
export function kindFields(apiVersion: string, kind: string): FieldClass | undefined {
  const own = kinds[`${apiVersion}/${kind}`];
  if (own === undefined) return undefined;
  return fields({ apiVersion: honoured, kind: honoured, metadata, status: refused("controllers write it"), ...own });
}

/** Every known `apiVersion/kind`. */
export const knownKinds: readonly string[] = Object.keys(kinds);
