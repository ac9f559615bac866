import { createHash } from "node:crypto";
import { groupVersion, type Json, type ResourceKind } from "../kinds/resource-kind.js";
import { schemaName, servedVersions } from "./discovery.js";
import type { KindRegistry } from "./kind-registry.js";

/** `/openapi/v3`: where the document of each group and version is. The hash changes with the content, so clients may keep it. */
export function openApiIndex(kinds: KindRegistry): Json {
  const paths = servedVersions(kinds).map(({ group, version, kinds: served }) => {
    const path = group === "" ? `api/${version}` : `apis/${group}/${version}`;
    const hash = createHash("sha256")
      .update(JSON.stringify(served.map((kind) => kind.schema)))
      .digest("hex")
      .slice(0, 32);
    return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }] as const;
  });
  return { paths: Object.fromEntries(paths) };
}

/** The document of one group and version; `undefined` when that is not served. */
export function openApiDocument(kinds: KindRegistry, group: string, version: string): Json | undefined {
  const served = servedVersions(kinds).find((entry) => entry.group === group && entry.version === version);
  if (served === undefined) return undefined;
  const schemas: Record<string, unknown> = {};
  const paths: Record<string, unknown> = {};
  for (const kind of served.kinds) {
    const gvk = { group, version, kind: kind.kind };
    schemas[schemaName(kind, version)] = { ...kind.schema, "x-kubernetes-group-version-kind": [gvk] };
    const base = group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
    const collection = `${base}${kind.namespaced ? "/namespaces/{namespace}" : ""}/${kind.plural}`;
    paths[collection] = {
      get: operation(kind, version, "list", []),
      post: operation(kind, version, "post", writeParameters),
    };
    paths[`${collection}/{name}`] = {
      get: operation(kind, version, "get", []),
      put: operation(kind, version, "put", writeParameters),
      patch: operation(kind, version, "patch", [...writeParameters, parameter("force", "boolean")]),
      delete: operation(kind, version, "delete", [parameter("dryRun")]),
    };
  }
  return {
    openapi: "3.0.0",
    info: { title: "Kubernetes", version: "weft-laptop" },
    paths,
    components: { schemas },
  };
}

const parameter = (name: string, type = "string"): Json => ({ name, in: "query", schema: { type, uniqueItems: true } });
/** kubectl asks the server to judge fields only when it finds `fieldValidation` here. */
const writeParameters = ["dryRun", "fieldManager", "fieldValidation"].map((name) => parameter(name));

function operation(kind: ResourceKind, version: string, action: string, parameters: readonly Json[]): Json {
  const schema = { $ref: `#/components/schemas/${schemaName(kind, version)}` };
  return {
    operationId: `${action}${groupVersion(kind, version).replace(/\W/g, "")}${kind.kind}`,
    "x-kubernetes-action": action,
    "x-kubernetes-group-version-kind": { group: kind.group, version, kind: kind.kind },
    parameters,
    responses: { "200": { description: "OK", content: { "application/json": { schema } } } },
  };
}
