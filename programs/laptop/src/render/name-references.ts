import { type MapNode, type Node, nodeAt, scalarNode, textAt } from "./node.js";
import { nameOf, namesOf, type Resource, sameNamespace, typeOf } from "./resource.js";

/** Makes references follow what was renamed (hash suffixes) or moved to another namespace (subjects of role bindings). */
export function followNames(resources: readonly Resource[]): void {
  const renamed = resources.filter(
    ({ root, earlier }) => earlier.some(({ name }) => name !== nameOf(root).name) && typeOf(root).group === "",
  );
  for (const { root } of resources) {
    const { kind } = typeOf(root);
    if (renamed.length > 0) {
      if (kind === "Role" || kind === "ClusterRole") followResourceNames(root, renamed);
      else followIn(root, root, renamed);
    }
    if (kind === "RoleBinding" || kind === "ClusterRoleBinding") followSubjects(root, resources);
  }
}

/** The field that names a ConfigMap or Secret, by the field that holds the reference. */
const references: ReadonlyMap<string, readonly { readonly kind: string; readonly field: string }[]> = new Map([
  ["configMapRef", [{ kind: "ConfigMap", field: "name" }]],
  ["configMapKeyRef", [{ kind: "ConfigMap", field: "name" }]],
  ["configMap", [{ kind: "ConfigMap", field: "name" }]],
  ["secretRef", [{ kind: "Secret", field: "name" }]],
  ["secretKeyRef", [{ kind: "Secret", field: "name" }]],
  [
    "secret",
    [
      { kind: "Secret", field: "name" },
      { kind: "Secret", field: "secretName" },
    ],
  ],
  ["imagePullSecrets", [{ kind: "Secret", field: "name" }]],
  ["tls", [{ kind: "Secret", field: "secretName" }]],
]);

function followIn(node: Node, referrer: MapNode, renamed: readonly Resource[]): void {
  if (node.kind === "list") for (const item of node.items) followIn(item, referrer, renamed);
  if (node.kind !== "map") return;
  for (const [field, value] of node.entries) {
    for (const { kind, field: naming } of references.get(field) ?? []) {
      for (const holder of value.kind === "list" ? value.items : [value]) {
        const target = holder.kind === "map" ? textAt(holder, naming) : undefined;
        const now = target === undefined ? undefined : newName(target, [kind], referrer, renamed);
        if (now !== undefined && holder.kind === "map")
          holder.entries.set(naming, scalarNode(now, holder.entries.get(naming)?.origin ?? holder.origin));
      }
    }
    followIn(value, referrer, renamed);
  }
}

function newName(
  name: string,
  kinds: readonly string[],
  referrer: MapNode,
  renamed: readonly Resource[],
): string | undefined {
  const { namespace } = nameOf(referrer);
  const clusterWide = typeOf(referrer).kind === "ClusterRole";
  const found = renamed.find(
    (resource) =>
      kinds.includes(typeOf(resource.root).kind) &&
      namesOf(resource).some((earlier) => earlier.name === name) &&
      (clusterWide || sameNamespace(nameOf(resource.root).namespace, namespace)),
  );
  return found === undefined ? undefined : nameOf(found.root).name;
}

function followResourceNames(root: MapNode, renamed: readonly Resource[]): void {
  const rules = nodeAt(root, ["rules"]);
  for (const rule of rules?.kind === "list" ? rules.items : []) {
    const names = nodeAt(rule, ["resourceNames"]);
    if (names?.kind !== "list") continue;
    for (const [index, name] of names.items.entries()) {
      const text = name.kind === "scalar" && typeof name.value === "string" ? name.value : "";
      const now = newName(text, ["ConfigMap", "Secret"], root, renamed);
      if (now !== undefined) names.items[index] = scalarNode(now, name.origin);
    }
  }
}

function followSubjects(root: MapNode, resources: readonly Resource[]): void {
  const subjects = nodeAt(root, ["subjects"]);
  for (const subject of subjects?.kind === "list" ? subjects.items : []) {
    if (subject.kind !== "map" || textAt(subject, "kind") !== "ServiceAccount") continue;
    const name = textAt(subject, "name") ?? "";
    const namespace = textAt(subject, "namespace") ?? "";
    const account = resources.find(
      (resource) =>
        typeOf(resource.root).kind === "ServiceAccount" &&
        namesOf(resource).some((one) => one.name === name && sameNamespace(one.namespace, namespace)),
    );
    const now = account === undefined ? "" : nameOf(account.root).namespace;
    if (now !== "" && now !== namespace) subject.entries.set("namespace", scalarNode(now, subject.origin));
  }
}
