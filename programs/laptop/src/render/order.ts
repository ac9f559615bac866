import { idOf, type Resource, type ResourceId } from "./resource.js";

const first = [
  "Namespace",
  "ResourceQuota",
  "StorageClass",
  "CustomResourceDefinition",
  "ServiceAccount",
  "PodSecurityPolicy",
  "Role",
  "ClusterRole",
  "RoleBinding",
  "ClusterRoleBinding",
  "ConfigMap",
  "Secret",
  "Endpoints",
  "Service",
  "LimitRange",
  "PriorityClass",
  "PersistentVolume",
  "PersistentVolumeClaim",
  "Deployment",
  "StatefulSet",
  "CronJob",
  "PodDisruptionBudget",
];
const last = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/** The order in which `kubectl kustomize` prints: what others need comes first, then by kind, namespace and name. */
export function inOrder(resources: readonly Resource[]): Resource[] {
  return resources
    .map((resource) => ({ resource, id: idOf(resource) }))
    .sort((a, b) => rank(a.id) - rank(b.id) || compareText(sortText(a.id), sortText(b.id)))
    .map(({ resource }) => resource);
}

function rank({ kind }: ResourceId): number {
  const early = first.indexOf(kind);
  if (early >= 0) return early - first.length;
  return last.indexOf(kind) + 1;
}

/** What is absent is written as kustomize does it, as that decides where it sorts. */
function sortText(id: ResourceId): string {
  const type = [id.group || "~G", id.version || "~V", id.kind || "~K"].join("_");
  return [type, id.namespace || "~X", id.name || "~N"].join("|");
}

function compareText(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
