import { type MapNode, type Origin, textAt } from "./node.js";

/** By what a resource is found: its name and namespace, now or at an earlier stage. */
export interface ResourceName {
  readonly name: string;
  readonly namespace: string;
}

/** An object on its way through the kustomizations. */
export interface Resource {
  root: MapNode;
  /** What it was called at earlier stages, oldest first. */
  readonly earlier: ResourceName[];
  /** Whether its name gets a suffix made of its content. */
  hashed: boolean;
}

/** What tells one object from all others. */
export interface ResourceId extends ResourceName {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

export function idOf(resource: Resource): ResourceId {
  return { ...typeOf(resource.root), ...nameOf(resource.root) };
}

export function typeOf(root: MapNode): { readonly group: string; readonly version: string; readonly kind: string } {
  const apiVersion = textAt(root, "apiVersion") ?? "";
  const slash = apiVersion.indexOf("/");
  return {
    group: slash < 0 ? "" : apiVersion.slice(0, slash),
    version: apiVersion.slice(slash + 1),
    kind: textAt(root, "kind") ?? "",
  };
}

export function nameOf(root: MapNode): ResourceName {
  return { name: textAt(root, "metadata", "name") ?? "", namespace: textAt(root, "metadata", "namespace") ?? "" };
}

/** All names a resource answers to. */
export function namesOf(resource: Resource): readonly ResourceName[] {
  return [...resource.earlier, nameOf(resource.root)];
}

/** Whether two namespaces are one: none means `default`. */
export function sameNamespace(a: string, b: string): boolean {
  return (a === "" ? "default" : a) === (b === "" ? "default" : b);
}

/** Whether a resource is of this group, version and kind and has, or had, this name and namespace. */
export function answersTo(resource: Resource, id: ResourceId): boolean {
  const type = typeOf(resource.root);
  return (
    type.group === id.group &&
    type.version === id.version &&
    type.kind === id.kind &&
    namesOf(resource).some((name) => name.name === id.name && sameNamespace(name.namespace, id.namespace))
  );
}

export function describeId(id: ResourceId): string {
  return id.namespace === "" ? `${id.kind} "${id.name}"` : `${id.kind} "${id.name}" in namespace "${id.namespace}"`;
}

/** Takes in a new resource, or says why it cannot be one. */
export function resourceFrom(root: MapNode, report: (origin: Origin, message: string) => void): Resource | undefined {
  const missing: string[] = ["apiVersion", "kind"].filter((field) => (textAt(root, field) ?? "") === "");
  if ((textAt(root, "metadata", "name") ?? "") === "") missing.push("metadata.name");
  if (missing.length > 0) {
    report(root.origin, `an object needs ${missing.join(", ")}`);
    return undefined;
  }
  return { root, earlier: [], hashed: false };
}

const clusterKinds = new Set([
  "Namespace",
  "Node",
  "PersistentVolume",
  "ClusterRole",
  "ClusterRoleBinding",
  "CustomResourceDefinition",
  "StorageClass",
  "PriorityClass",
  "APIService",
  "IngressClass",
  "RuntimeClass",
  "CSIDriver",
  "CSINode",
  "VolumeAttachment",
  "MutatingWebhookConfiguration",
  "ValidatingWebhookConfiguration",
  "ValidatingAdmissionPolicy",
  "ValidatingAdmissionPolicyBinding",
  "CertificateSigningRequest",
  "FlowSchema",
  "PriorityLevelConfiguration",
  "PodSecurityPolicy",
  "TokenReview",
  "SubjectAccessReview",
  "SelfSubjectAccessReview",
  "SelfSubjectRulesReview",
]);

/** Whether kinds of this API group come with Kubernetes itself: their schemas are known to kustomize. */
export function isBuiltInGroup(group: string): boolean {
  return (!group.includes(".") || group.endsWith(".k8s.io")) && group !== "gateway.networking.k8s.io";
}

/** Whether objects of this built-in kind stand outside any namespace. Kinds that kustomize does not know stand inside. */
export function isClusterKind(group: string, kind: string): boolean {
  return isBuiltInGroup(group) && clusterKinds.has(kind);
}
