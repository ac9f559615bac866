import type { PublishedResource } from "./encode.js";
import type { PublishedSet } from "./resource-set.js";

type Named = ReadonlyMap<string, PublishedResource>;

/**
 * Names that something refers to and nothing bears, as sentences; empty when all is well.
 * A client that met one would wait for it until it gave up, so such a set is never published.
 * What was in `checked`, a set that was found well, is not looked at again, unless a name has gone since.
 */
export function danglingNames(set: PublishedSet, checked?: PublishedSet): readonly string[] {
  const known = checked !== undefined && !losesNames(checked, set) ? checked : undefined;
  const problems: string[] = [];
  const check = (named: Named, before: Named | undefined): void => {
    if (named === before) return;
    for (const resource of named.values()) {
      if (before?.get(resource.name) === resource) continue;
      for (const { type, name } of resource.needs) {
        if (set.types.get(type)?.has(name) === true) continue;
        const [what, missing] = [shortType(resource.type), shortType(type)];
        problems.push(`${what} "${resource.name}" names ${missing} "${name}", which does not exist`);
      }
    }
  };
  for (const [type, named] of set.types) check(named, known?.types.get(type));
  for (const [namespace, named] of set.consumers) check(named, known?.consumers.get(namespace));
  return problems;
}

/** Whether a name that could be referred to is gone. */
function losesNames(before: PublishedSet, after: PublishedSet): boolean {
  for (const [type, named] of before.types) {
    const now = after.types.get(type);
    if (now === named) continue;
    for (const name of named.keys()) if (now?.has(name) !== true) return true;
  }
  return false;
}

/** `Cluster` of `type.googleapis.com/envoy.config.cluster.v3.Cluster`. */
export function shortType(type: string): string {
  return type.slice(type.lastIndexOf(".") + 1);
}
