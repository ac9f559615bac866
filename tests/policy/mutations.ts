import { isRecord } from "@weft/kube";
import { type Json, shown } from "./manifests.js";

type Path = readonly (string | number)[];

/** One way to break a practice, and the breach that must be found. */
export interface Mutation {
  readonly practice: string;
  /** What is changed: the object, the field, and its new value; `undefined` takes the field away, and an object without path goes whole. */
  readonly object: string;
  readonly path?: Path;
  readonly value?: unknown;
  /** The breach: its object, unless it is the one that is changed, and its field. */
  readonly found?: string;
  readonly field: string;
}

/** The objects after a mutation; it must find what it changes. */
export function mutated(objects: readonly Json[], { object, path, value }: Mutation): readonly Json[] {
  if (!objects.some((one) => shown(one) === object)) throw new Error(`there is no ${object} to break`);
  if (path === undefined) {
    const rest = objects.filter((one) => shown(one) !== object);
    return isRecord(value) ? [...rest, value] : rest;
  }
  return objects.map((one) => {
    if (shown(one) !== object) return one;
    const next = withField(one, path, value);
    return isRecord(next) ? next : one;
  });
}

function withField(target: unknown, [step, ...rest]: Path, value: unknown): unknown {
  if (step === undefined) return value;
  if (typeof step === "number" && Array.isArray(target))
    return target.map((item: unknown, index) => (index === step ? withField(item, rest, value) : item));
  const next = isRecord(target) ? { ...target } : {};
  const changed = withField(next[step], rest, value);
  if (changed === undefined) delete next[step];
  else next[step] = changed;
  return next;
}

const pod = ["spec", "template", "spec"] as const;
const container = [...pod, "containers", 0] as const;
const cart = "Deployment shop/cart";
const cartField = "spec.template.spec.containers[cart]";
const inPod = (practice: string, path: Path, value: unknown, field: string): Mutation => ({
  practice,
  object: cart,
  path: [...pod, ...path],
  value,
  field: `spec.template.spec.${field}`,
});
const inContainer = (practice: string, path: Path, value: unknown, field: string): Mutation => ({
  practice,
  object: cart,
  path: [...container, ...path],
  value,
  field: `${cartField}.${field}`,
});

/** At least one way to break each practice, in the overlay `cluster`. */
export const mutations: readonly Mutation[] = [
  inPod(
    "Pods run as somebody who is not root, by number",
    ["securityContext", "runAsNonRoot"],
    false,
    "securityContext.runAsNonRoot",
  ),
  inPod(
    "Pods run as somebody who is not root, by number",
    ["securityContext", "runAsUser"],
    0,
    "securityContext.runAsUser",
  ),
  inPod(
    "Pods have the runtime's seccomp profile",
    ["securityContext", "seccompProfile"],
    { type: "Unconfined" },
    "securityContext.seccompProfile",
  ),
  inContainer(
    "containers gain no rights",
    ["securityContext", "allowPrivilegeEscalation"],
    undefined,
    "securityContext.allowPrivilegeEscalation",
  ),
  inContainer(
    "containers drop every capability",
    ["securityContext", "capabilities"],
    { drop: ["ALL"], add: ["NET_BIND_SERVICE"] },
    "securityContext.capabilities",
  ),
  inContainer(
    "containers write to volumes alone",
    ["securityContext", "readOnlyRootFilesystem"],
    false,
    "securityContext.readOnlyRootFilesystem",
  ),
  inPod("Pods have nothing of the host", ["hostNetwork"], true, "hostNetwork"),
  inPod(
    "Pods have nothing of the host",
    ["volumes"],
    [{ name: "etc", hostPath: { path: "/etc" } }],
    "volumes[etc].hostPath",
  ),
  inPod("each workload has a service account of its own", ["serviceAccountName"], "orders", "serviceAccountName"),
  {
    practice: "each workload has a service account of its own",
    object: "ServiceAccount shop/cart",
    found: cart,
    field: "spec.template.spec.serviceAccountName",
  },
  inPod("no token is mounted unasked", ["automountServiceAccountToken"], undefined, "automountServiceAccountToken"),
  {
    practice: "no token is mounted unasked",
    object: "ServiceAccount shop/cart",
    path: ["automountServiceAccountToken"],
    value: true,
    field: "automountServiceAccountToken",
  },
  inPod(
    "a token is for the mesh, but for those who ask the Kubernetes API",
    ["volumes"],
    [{ name: "token", projected: { sources: [{ serviceAccountToken: { path: "token" } }] } }],
    "volumes[token].projected.sources.serviceAccountToken.audience",
  ),
  inPod(
    "a process of the mesh has its short-lived token, to read alone",
    ["volumes"],
    [{ name: "mesh-token", projected: { sources: [{ serviceAccountToken: { path: "token", audience: "weft" } }] } }],
    "volumes",
  ),
  inContainer(
    "a process of the mesh has its short-lived token, to read alone",
    ["volumeMounts"],
    [{ name: "mesh-token", mountPath: "/var/run/secrets/weft" }],
    "volumeMounts",
  ),
  ...["requests", "limits"].flatMap((kind) =>
    ["cpu", "memory"].map((what) =>
      inContainer(
        `containers say their ${kind} of ${what}`,
        ["resources", kind, what],
        undefined,
        `resources.${kind}.${what}`,
      ),
    ),
  ),
  inContainer("images have a version", ["image"], "ghcr.io/weft-mesh/cart:latest", "image"),
  inContainer("images have a version", ["image"], "ghcr.io:443/weft-mesh/cart", "image"),
  ...["startupProbe", "readinessProbe", "livenessProbe"].map((probe) =>
    inContainer(
      "servers are probed when they start, for readiness and for life; ours on the admin port",
      [probe],
      undefined,
      probe,
    ),
  ),
  {
    practice: "servers are probed when they start, for readiness and for life; ours on the admin port",
    object: "StatefulSet shop/postgres",
    path: [...container, "livenessProbe"],
    field: "spec.template.spec.containers[postgres].livenessProbe",
  },
  inPod("Pods have time to drain", ["terminationGracePeriodSeconds"], 25, "terminationGracePeriodSeconds"),
  inPod(
    "what the mesh knows is kept in memory over a restart",
    ["volumes"],
    [{ name: "snapshot", emptyDir: {} }],
    "volumes",
  ),
  {
    practice: "objects and their Pods have the recommended labels",
    object: cart,
    path: ["spec", "template", "metadata", "labels", "app.kubernetes.io/component"],
    field: "spec.template.metadata.labels[app.kubernetes.io/component]",
  },
  {
    practice: "a workload's name is its label, and the label alone selects its Pods",
    object: cart,
    path: ["spec", "selector", "matchLabels", "app.kubernetes.io/component"],
    value: "shop",
    field: "spec.selector.matchLabels",
  },
  {
    practice: "an eviction takes one Pod of a workload at a time",
    object: "PodDisruptionBudget shop/cart",
    path: ["spec", "maxUnavailable"],
    value: 2,
    field: "spec.maxUnavailable",
  },
  {
    practice: "an eviction takes one Pod of a workload at a time",
    object: "PodDisruptionBudget shop/postgres",
    found: "StatefulSet shop/postgres",
    field: "spec.selector",
  },
  {
    practice: "the replicas of a Deployment are said once: by its autoscaler, or by itself",
    object: cart,
    path: ["spec", "replicas"],
    value: 2,
    field: "spec.replicas",
  },
  {
    practice: "the replicas of a Deployment are said once: by its autoscaler, or by itself",
    object: "HorizontalPodAutoscaler shop/cart",
    found: cart,
    field: "spec.replicas",
  },
  {
    practice: "an autoscaler follows the calls of its own Deployment, within bounds",
    object: "HorizontalPodAutoscaler shop/cart",
    path: ["spec", "maxReplicas"],
    value: 1,
    field: "spec.minReplicas",
  },
  {
    practice: "an autoscaler follows the calls of its own Deployment, within bounds",
    object: "HorizontalPodAutoscaler shop/cart",
    path: ["spec", "metrics", 0, "pods", "metric", "name"],
    value: "cpu",
    field: "spec.metrics",
  },
  {
    practice: "replicas are spread over zones and nodes, and rather not on one",
    object: cart,
    path: [...pod, "topologySpreadConstraints", 1, "labelSelector", "matchLabels", "app.kubernetes.io/name"],
    value: "orders",
    field: "spec.template.spec.topologySpreadConstraints",
  },
  {
    practice: "replicas are spread over zones and nodes, and rather not on one",
    object: "Deployment weft/control-plane",
    path: [...pod, "affinity"],
    field: "spec.template.spec.affinity.podAntiAffinity",
  },
  {
    practice: "a rollout takes no ready Pod away before another is ready",
    object: cart,
    path: ["spec", "strategy"],
    field: "spec.strategy.rollingUpdate.maxUnavailable",
  },
  {
    practice: "a Service has named ports that lead to named ports of Pods that it selects",
    object: "Service shop/cart",
    path: ["spec", "ports", 0, "targetPort"],
    value: 8080,
    field: "spec.ports[8080].targetPort",
  },
  {
    practice: "a Service has named ports that lead to named ports of Pods that it selects",
    object: "Service shop/cart",
    path: ["spec", "ports", 0, "appProtocol"],
    field: "spec.ports[8080].appProtocol",
  },
  {
    practice: "a Service has named ports that lead to named ports of Pods that it selects",
    object: "Service shop/cart",
    found: cart,
    field: "metadata.name",
  },
  {
    practice: "namespaces enforce what Pod Security calls restricted",
    object: "Namespace shop",
    path: ["metadata", "labels", "pod-security.kubernetes.io/enforce"],
    value: "baseline",
    field: "metadata.labels[pod-security.kubernetes.io/enforce]",
  },
  {
    practice: "roles name what they allow",
    object: "ClusterRole weft-control-plane",
    path: ["rules", 0, "verbs"],
    value: ["*"],
    field: "rules[0].verbs",
  },
  {
    practice: "the repository holds no Secret",
    object: "ConfigMap shop/weft",
    value: { apiVersion: "v1", kind: "Secret", metadata: { name: "cart-database", namespace: "shop" } },
    found: "Secret shop/cart-database",
    field: "data",
  },
  {
    practice: "the API server believes no metrics API that it cannot verify",
    object: "APIService v1beta2.custom.metrics.k8s.io",
    path: ["spec", "insecureSkipTLSVerify"],
    value: true,
    field: "spec.insecureSkipTLSVerify",
  },
  {
    practice: "each namespace refuses what no policy allows",
    object: "NetworkPolicy shop/default-deny",
    found: "Namespace shop",
    field: "metadata.name",
  },
  {
    practice: "each workload has a policy of its own, in both directions",
    object: "NetworkPolicy shop/cart",
    found: cart,
    field: "metadata.name",
  },
  {
    practice: "each workload has a policy of its own, in both directions",
    object: "NetworkPolicy shop/cart",
    path: ["spec", "policyTypes"],
    value: ["Ingress"],
    field: "spec.policyTypes",
  },
  {
    practice: "an edge is declared by both of its ends",
    object: "NetworkPolicy shop/cart",
    path: ["spec", "egress", 0],
    value: {},
    found: "NetworkPolicy shop/catalog",
    field: "spec.ingress",
  },
  {
    practice: "a policy names whom it lets in, but where everybody may",
    object: "NetworkPolicy shop/cart",
    path: ["spec", "ingress", 0, "from"],
    field: "spec.ingress",
  },
  {
    practice: "a policy names whom it lets in, but where everybody may",
    object: "NetworkPolicy shop/cart",
    path: ["spec", "ingress", 0, "from", 0],
    value: {},
    field: "spec.ingress",
  },
  {
    practice: "a policy names whom it calls and on which ports, but the Kubernetes API by its ports",
    object: "NetworkPolicy shop/cart",
    path: ["spec", "egress", 0, "to"],
    field: "spec.egress",
  },
  {
    practice: "a policy names whom it calls and on which ports, but the Kubernetes API by its ports",
    object: "NetworkPolicy shop/cart",
    path: ["spec", "egress", 0, "to", 0],
    value: {},
    field: "spec.egress",
  },
  {
    practice: "a policy names whom it calls and on which ports, but the Kubernetes API by its ports",
    object: "NetworkPolicy shop/cart",
    path: ["spec", "egress", 0, "ports"],
    field: "spec.egress",
  },
  {
    practice: "a policy names whom it calls and on which ports, but the Kubernetes API by its ports",
    object: "NetworkPolicy shop/cart",
    path: ["spec", "egress", 0, "to"],
    value: [{ ipBlock: { cidr: "10.0.0.0/8" } }],
    field: "spec.egress",
  },
  {
    practice: "a policy names whom it calls and on which ports, but the Kubernetes API by its ports",
    object: "NetworkPolicy weft/control-plane",
    path: ["spec", "egress", 0, "ports", 0, "port"],
    value: 5432,
    field: "spec.egress",
  },
  {
    practice: "who calls names may ask for them",
    object: "NetworkPolicy shop/database-setup",
    path: ["spec", "egress"],
    field: "spec.egress",
  },
  {
    practice: "the figures of our processes may be collected",
    object: "NetworkPolicy shop/cart",
    path: ["spec", "ingress", 1],
    value: {},
    field: "spec.ingress",
  },
  {
    practice: "services of the mesh may ask for its config and send their traces",
    object: "NetworkPolicy shop/cart",
    path: ["spec", "egress"],
    field: "spec.egress",
  },
];
