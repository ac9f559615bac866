import type { PublishedSet } from "./resource-set.js";

/**
 * Names that something refers to and nothing bears, as sentences; empty when all is well.
 * A client that met one would wait for it until it gave up, so such a set is never published.
 */
export function danglingNames(set: PublishedSet): readonly string[] {
  const problems: string[] = [];
  const resources = [...set.types.values(), ...set.consumers.values()].flatMap((named) => [...named.values()]);
  for (const { type, name, needs } of resources) {
    for (const need of needs) {
      if (set.types.get(need.type)?.has(need.name) === true) continue;
      problems.push(`${shortType(type)} "${name}" names ${shortType(need.type)} "${need.name}", which does not exist`);
    }
  }
  return problems;
}

/** `Cluster` of `type.googleapis.com/envoy.config.cluster.v3.Cluster`. */
export function shortType(type: string): string {
  return type.slice(type.lastIndexOf(".") + 1);
}
