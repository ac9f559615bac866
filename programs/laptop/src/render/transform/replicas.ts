import type { ReplicaEntry } from "../kustomization.js";
import { mapIn, type Problems, scalarNode } from "../node.js";
import { isBuiltInGroup, namesOf, type Resource, typeOf } from "../resource.js";

const kinds = new Set(["Deployment", "StatefulSet", "ReplicaSet", "ReplicationController"]);

/** Sets how many replicas the named workloads have. */
export function setReplicas(resources: readonly Resource[], entry: ReplicaEntry, problems: Problems): void {
  const found = resources.filter((resource) => {
    const { group, kind } = typeOf(resource.root);
    return isBuiltInGroup(group) && kinds.has(kind) && namesOf(resource).some(({ name }) => name === entry.name);
  });
  if (found.length === 0) problems.report(entry.origin, `replicas: there is no workload "${entry.name}"`);
  for (const { root } of found)
    mapIn(root, "spec", entry.origin)?.entries.set("replicas", scalarNode(entry.count, entry.origin));
}
