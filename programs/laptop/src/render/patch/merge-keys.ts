import { isBuiltInGroup } from "../resource.js";

/** How a strategic merge treats a list. */
export type ListMerge =
  | { readonly t: "replace" }
  | { readonly t: "set" }
  | { readonly t: "keys"; readonly keys: readonly string[] };

const replace: ListMerge = { t: "replace" };
const by = (...keys: string[]): ListMerge => ({ t: "keys", keys });

const podLists: ReadonlyMap<string, ListMerge> = new Map([
  ["containers", by("name")],
  ["initContainers", by("name")],
  ["ephemeralContainers", by("name")],
  ["volumes", by("name")],
  ["imagePullSecrets", by("name")],
  ["hostAliases", by("ip")],
  ["topologySpreadConstraints", by("topologyKey", "whenUnsatisfiable")],
]);

const containerLists: ReadonlyMap<string, ListMerge> = new Map([
  ["env", by("name")],
  ["ports", by("containerPort", "protocol")],
  ["volumeMounts", by("mountPath")],
  ["volumeDevices", by("devicePath")],
]);

const kindLists: ReadonlyMap<string, ListMerge> = new Map([
  ["Service/spec/ports", by("port", "protocol")],
  ["ServiceAccount/secrets", by("name")],
  ["ServiceAccount/imagePullSecrets", by("name")],
]);

const containerFields = new Set(["containers", "initContainers", "ephemeralContainers"]);

/** How the list at this path (names of fields alone) is merged; kinds that are not built in have their lists replaced. */
export function listMergeAt(group: string, kind: string, path: readonly string[]): ListMerge {
  const field = path.at(-1) ?? "";
  const parent = path.at(-2) ?? "";
  if (!isBuiltInGroup(group)) return replace;
  if (parent === "metadata" && path.length === 2) {
    if (field === "finalizers") return { t: "set" };
    if (field === "ownerReferences") return by("uid");
  }
  if (parent === "spec" && podLists.has(field)) return podLists.get(field) ?? replace;
  if (containerFields.has(parent)) return containerLists.get(field) ?? replace;
  return kindLists.get([kind, ...path].join("/")) ?? replace;
}
