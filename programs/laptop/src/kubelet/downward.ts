import { cpus, totalmem } from "node:os";
import type { Container, Pod } from "@weft/kube";
import { parseMilli } from "../kinds/quantity.js";

/** What the downward API knows of a Pod beyond its object. */
export interface PodFacts {
  readonly pod: Pod;
  readonly podIP: string;
  readonly nodeName: string;
  readonly nodeAddress: string;
}

/** The value of a `fieldRef`; throws for a path that the downward API does not have. */
export function fieldValue(path: string, facts: PodFacts): string {
  const { metadata, spec } = facts.pod;
  const subscript = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path);
  if (subscript !== null) {
    const [, map, key] = subscript;
    return (map === "labels" ? metadata.labels : metadata.annotations)?.[key ?? ""] ?? "";
  }
  switch (path) {
    case "metadata.name":
      return metadata.name;
    case "metadata.namespace":
      return metadata.namespace ?? "default";
    case "metadata.uid":
      return metadata.uid ?? "";
    case "metadata.labels":
      return lines(metadata.labels);
    case "metadata.annotations":
      return lines(metadata.annotations);
    case "spec.nodeName":
      return facts.nodeName;
    case "spec.serviceAccountName":
      return spec.serviceAccountName ?? "default";
    case "status.podIP":
    case "status.podIPs":
      return facts.podIP;
    case "status.hostIP":
    case "status.hostIPs":
      return facts.nodeAddress;
    default:
      throw new Error(`fieldRef ${JSON.stringify(path)} is not a field of the downward API`);
  }
}

/** The value of a `resourceFieldRef`: the container's own limit or request, else what the machine has. */
export function resourceValue(resource: string, container: Container): string {
  const [part, name] = resource.split(".");
  const given = (part === "requests" ? container.resources?.requests : container.resources?.limits)?.[name ?? ""];
  const value = given === undefined ? undefined : String(given);
  if (name === "cpu") return value === undefined ? String(cpus().length) : String(Math.ceil(parseQuantity(value)));
  if (name === "memory") return value === undefined ? String(totalmem()) : String(parseQuantity(value));
  throw new Error(`resourceFieldRef ${JSON.stringify(resource)} is not known`);
}

/** Reads a Kubernetes quantity: `250m`, `64Mi`. */
function parseQuantity(text: string): number {
  const milli = parseMilli(text);
  if (milli === undefined) throw new Error(`quantity ${JSON.stringify(text)} can't be read`);
  return milli / 1_000;
}

/** The format of the downward API's files: `key="value"` lines, sorted. */
function lines(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join("\n");
}
