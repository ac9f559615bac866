import { at, listAt, textAt } from "../kinds/path.js";
import type { Json, ResourceKind } from "../kinds/resource-kind.js";
import type { ExtensionVersion } from "./aggregation/aggregator.js";
import type { KindRegistry } from "./kind-registry.js";

/** What clients read to learn which kinds there are: the plain documents, and the aggregated one that newer clients ask for. */

const verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/** Resources that are only asked, never kept. */
const virtual = [
  { group: "authentication.k8s.io", version: "v1", kind: "TokenReview", plural: "tokenreviews", namespaced: false },
  {
    group: "authentication.k8s.io",
    version: "v1",
    kind: "SelfSubjectReview",
    plural: "selfsubjectreviews",
    namespaced: false,
  },
  {
    group: "authorization.k8s.io",
    version: "v1",
    kind: "SubjectAccessReview",
    plural: "subjectaccessreviews",
    namespaced: false,
  },
  {
    group: "authorization.k8s.io",
    version: "v1",
    kind: "SelfSubjectAccessReview",
    plural: "selfsubjectaccessreviews",
    namespaced: false,
  },
] as const;

interface Subresource {
  readonly name: string;
  readonly kind: string;
  readonly group: string;
  readonly version: string;
  readonly verbs: readonly string[];
}

function subresources(kind: ResourceKind, version: string): readonly Subresource[] {
  const own = { kind: kind.kind, group: kind.group, version };
  const change = ["get", "patch", "update"];
  const found: Subresource[] = [];
  if (kind.hasStatus) found.push({ ...own, name: "status", verbs: change });
  if (kind.scale) found.push({ kind: "Scale", group: "autoscaling", version: "v1", name: "scale", verbs: change });
  if (kind.kind === "Pod") {
    found.push({ kind: "Eviction", group: "policy", version: "v1", name: "eviction", verbs: ["create"] });
    found.push({ ...own, name: "log", verbs: ["get"] });
    found.push({
      kind: "PodPortForwardOptions",
      group: "",
      version: "v1",
      name: "portforward",
      verbs: ["create", "get"],
    });
  }
  if (kind.kind === "ServiceAccount") {
    found.push({
      kind: "TokenRequest",
      group: "authentication.k8s.io",
      version: "v1",
      name: "token",
      verbs: ["create"],
    });
  }
  return found;
}

interface Served {
  readonly group: string;
  readonly version: string;
  readonly kinds: readonly ResourceKind[];
}

/** Every group and version that is served, the core group first. */
export function servedVersions(kinds: KindRegistry): readonly Served[] {
  const groups = new Map<string, Map<string, ResourceKind[]>>();
  for (const kind of kinds.all) {
    const versions = groups.get(kind.group) ?? new Map<string, ResourceKind[]>();
    groups.set(kind.group, versions);
    for (const version of kind.versions) versions.set(version, [...(versions.get(version) ?? []), kind]);
  }
  for (const { group, version } of virtual) {
    const versions = groups.get(group) ?? new Map<string, ResourceKind[]>();
    groups.set(group, versions);
    if (!versions.has(version)) versions.set(version, []);
  }
  return [...groups].flatMap(([group, versions]) =>
    [...versions].sort(([a], [b]) => rank(b) - rank(a)).map(([version, served]) => ({ group, version, kinds: served })),
  );
}

/** Stable versions before beta before alpha: the first of a group is the one that clients prefer. */
function rank(version: string): number {
  const [, major = "0", stage] = /^v(\d+)(alpha|beta)?/.exec(version) ?? [];
  return Number(major) + (stage === undefined ? 1_000 : stage === "beta" ? 500 : 0);
}

type Extensions = readonly ExtensionVersion[];

/** `/apis`: the groups that are served here, then those that other servers answer. */
export function groupList(kinds: KindRegistry, extensions: Extensions): Json {
  const groups = new Map<string, { readonly groupVersion: string; readonly version: string }[]>();
  for (const { group, version } of [...servedVersions(kinds), ...extensions]) {
    if (group === "") continue;
    groups.set(group, [...(groups.get(group) ?? []), { groupVersion: `${group}/${version}`, version }]);
  }
  return {
    kind: "APIGroupList",
    apiVersion: "v1",
    groups: [...groups].map(([name, versions]) => ({ name, versions, preferredVersion: versions[0] })),
  };
}

/** `/apis/GROUP`; `undefined` when there is no such group. */
export function group(kinds: KindRegistry, extensions: Extensions, name: string): Json | undefined {
  const versions = [...servedVersions(kinds), ...extensions]
    .filter((served) => served.group === name && name !== "")
    .map(({ version }) => ({ groupVersion: `${name}/${version}`, version }));
  if (versions.length === 0) return undefined;
  return { kind: "APIGroup", apiVersion: "v1", name, versions, preferredVersion: versions[0] };
}

/** `/api/v1`, `/apis/GROUP/VERSION`; `undefined` when that is not served. */
export function resourceList(kinds: KindRegistry, groupName: string, version: string): Json | undefined {
  const served = servedVersions(kinds).find((entry) => entry.group === groupName && entry.version === version);
  if (served === undefined) return undefined;
  const resources = served.kinds.flatMap((kind) => [
    {
      name: kind.plural,
      singularName: kind.singular,
      namespaced: kind.namespaced,
      kind: kind.kind,
      verbs,
      ...(kind.shortNames.length === 0 ? {} : { shortNames: kind.shortNames }),
      ...(kind.categories.length === 0 ? {} : { categories: kind.categories }),
    },
    ...subresources(kind, version).map((sub) => ({
      name: `${kind.plural}/${sub.name}`,
      singularName: "",
      namespaced: kind.namespaced,
      kind: sub.kind,
      ...(sub.group === groupName ? {} : { group: sub.group, version: sub.version }),
      verbs: sub.verbs,
    })),
  ]);
  const asked = virtual
    .filter((entry) => entry.group === groupName && entry.version === version)
    .map(({ plural, kind, namespaced }) => ({
      name: plural,
      singularName: kind.toLowerCase(),
      namespaced,
      kind,
      verbs: ["create"],
    }));
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: groupName === "" ? version : `${groupName}/${version}`,
    resources: [...resources, ...asked],
  };
}

/** apidiscovery.k8s.io/v2 APIGroupDiscoveryList: of the core group (`/api`), or of all others (`/apis`). */
export function aggregated(kinds: KindRegistry, extensions: Extensions, core: boolean): Json {
  const groups = new Map<string, Json[]>();
  for (const { group: name, version, kinds: served } of servedVersions(kinds)) {
    if ((name === "") !== core) continue;
    const resources = served.map((kind) => ({
      resource: kind.plural,
      responseKind: { group: name, version, kind: kind.kind },
      scope: kind.namespaced ? "Namespaced" : "Cluster",
      singularResource: kind.singular,
      verbs,
      shortNames: kind.shortNames,
      categories: kind.categories,
      subresources: subresources(kind, version).map((sub) => ({
        subresource: sub.name,
        responseKind: { group: sub.group, version: sub.version, kind: sub.kind },
        verbs: sub.verbs,
      })),
    }));
    const asked = virtual
      .filter((entry) => entry.group === name && entry.version === version)
      .map((entry) => ({
        resource: entry.plural,
        responseKind: { group: name, version, kind: entry.kind },
        scope: "Cluster",
        singularResource: entry.kind.toLowerCase(),
        verbs: ["create"],
      }));
    groups.set(name, [
      ...(groups.get(name) ?? []),
      { version, resources: [...resources, ...asked], freshness: "Current" },
    ]);
  }
  for (const { group: name, version, available, resources } of core ? [] : extensions) {
    const freshness = available ? "Current" : "Stale";
    groups.set(name, [...(groups.get(name) ?? []), { version, resources: foreignResources(resources), freshness }]);
  }
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: "apidiscovery.k8s.io/v2",
    metadata: {},
    items: [...groups].map(([name, versions]) => ({ metadata: name === "" ? {} : { name }, versions })),
  };
}

/** The meta/v1 APIResources of another server in the words of the aggregated document: `a/b` is a subresource of `a`, which may be none itself. */
function foreignResources(resources: readonly unknown[]): readonly Json[] {
  const found = new Map<string, { readonly head: Json; readonly subresources: Json[] }>();
  for (const resource of resources) {
    const [name = "", subresource] = textAt(resource, "name").split("/", 2);
    const scope = at(resource, "namespaced") === true ? "Namespaced" : "Cluster";
    const kind = {
      group: textAt(resource, "group"),
      version: textAt(resource, "version"),
      kind: textAt(resource, "kind"),
    };
    const verbs = listAt(resource, "verbs");
    if (subresource === undefined) {
      const head = {
        resource: name,
        responseKind: kind,
        scope,
        singularResource: textAt(resource, "singularName"),
        verbs,
      };
      found.set(name, { head, subresources: found.get(name)?.subresources ?? [] });
      continue;
    }
    const parent = found.get(name) ?? {
      head: {
        resource: name,
        responseKind: { group: "", version: "", kind: "" },
        scope,
        singularResource: "",
        verbs: [],
      },
      subresources: [],
    };
    parent.subresources.push({ subresource, responseKind: kind, verbs });
    found.set(name, parent);
  }
  return [...found.values()].map(({ head, subresources }) => ({ ...head, subresources }));
}

/** The name of a kind's schema in the OpenAPI documents. */
export function schemaName(kind: ResourceKind, version: string): string {
  const reversed = kind.group.includes(".")
    ? kind.group.split(".").reverse().join(".")
    : `io.k8s.api.${kind.group || "core"}`;
  return `${reversed}.${version}.${kind.kind}`;
}
