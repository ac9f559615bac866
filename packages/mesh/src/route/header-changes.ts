import {
  HeaderValueOption_HeaderAppendAction as Append,
  type HeaderValueOption,
} from "@weft/contracts/envoy/config/core/v3";
import { type Parsed, parsed, refused } from "@weft/foundation";
import type { Metadata, MetadataEntry } from "@weft/wire";

/** Changes metadata on its way; `undefined` where there is nothing to change. */
export type HeaderChange = (metadata: Metadata) => Metadata;

/** Names that a route may not touch: the transport's, and the principal's, which only the mesh sets. */
function isReserved(name: string): boolean {
  return name === "" || name.startsWith(":") || name.startsWith("grpc-") || name === "host" || name === "weft-user";
}

/** Compiles additions and removals; removals come first, as in Envoy. */
export function compileHeaderChange(
  toAdd: readonly HeaderValueOption[],
  toRemove: readonly string[],
): Parsed<HeaderChange | undefined> {
  if (toAdd.length === 0 && toRemove.length === 0) return parsed(undefined);
  const removed = new Set(toRemove.map((name) => name.toLowerCase()));
  const additions: { name: string; value: string; action: Append }[] = [];
  for (const { header, appendAction } of toAdd) {
    const name = (header?.key ?? "").toLowerCase();
    if (name.endsWith("-bin")) return refused(`header ${JSON.stringify(name)}: a binary header cannot be added`);
    additions.push({ name, value: header?.value ?? "", action: appendAction });
  }
  for (const name of [...removed, ...additions.map((addition) => addition.name)]) {
    if (isReserved(name)) return refused(`header ${JSON.stringify(name)} cannot be changed by a route`);
  }
  return parsed((metadata) => {
    let next: MetadataEntry[] = metadata.filter(([name]) => !removed.has(name));
    for (const { name, value, action } of additions) {
      const exists = next.some(([key]) => key === name);
      if (exists && action === Append.ADD_IF_ABSENT) continue;
      if (!exists && action === Append.OVERWRITE_IF_EXISTS) continue;
      if (exists && action !== Append.APPEND_IF_EXISTS_OR_ADD) next = next.filter(([key]) => key !== name);
      next.push([name, value]);
    }
    return next;
  });
}

/** One change after the other. */
export function chainHeaderChanges(
  first: HeaderChange | undefined,
  second: HeaderChange | undefined,
): HeaderChange | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return (metadata) => second(first(metadata));
}
