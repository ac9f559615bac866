import type { Sited } from "../field-reader.js";
import { mapIn, nodeAt, type Problems, scalarNode, textAt } from "../node.js";
import { describeId, idOf, isClusterKind, nameOf, type Resource, typeOf } from "../resource.js";

/** Puts every namespaced resource into the namespace, and gives a Namespace its name. */
export function setNamespace(resources: readonly Resource[], namespace: Sited<string>, problems: Problems): void {
  const value = scalarNode(namespace.value, namespace.origin);
  const seen = new Set<string>();
  for (const resource of resources) {
    const { root } = resource;
    const { group, kind } = typeOf(root);
    const metadata = mapIn(root, "metadata", namespace.origin);
    const field = group === "" && kind === "Namespace" ? "name" : isClusterKind(group, kind) ? undefined : "namespace";
    if (metadata !== undefined && field !== undefined && textAt(metadata, field) !== namespace.value) {
      resource.earlier.push(nameOf(root));
      metadata.entries.set(field, value);
    }
    if (kind === "RoleBinding" || kind === "ClusterRoleBinding") {
      const subjects = nodeAt(root, ["subjects"]);
      for (const subject of subjects?.kind === "list" ? subjects.items : []) {
        if (
          subject.kind === "map" &&
          textAt(subject, "kind") === "ServiceAccount" &&
          textAt(subject, "name") === "default"
        )
          subject.entries.set("namespace", value);
      }
    }
    const id = idOf(resource);
    const key = JSON.stringify(id);
    if (seen.has(key)) problems.report(namespace.origin, `the namespace makes two of ${describeId(id)}`);
    seen.add(key);
  }
}
