import { at, listAt, textAt } from "../kinds/path.js";
import type { Json } from "../kinds/resource-kind.js";
import type { KindRegistry } from "./kind-registry.js";
import type { ObjectStore } from "./store.js";
import type { User } from "./tokens.js";

/** What somebody wants to do, in the terms of RBAC. */
export type Action =
  | {
      readonly t: "resource";
      readonly verb: string;
      readonly group: string;
      /** `pods`, `pods/log`. */
      readonly resource: string;
      readonly namespace: string;
      readonly name: string;
    }
  | { readonly t: "path"; readonly verb: string; readonly path: string };

/** Paths that everybody who has signed in may read: without them no client finds its way. */
const openPaths = [/^\/(api|apis|openapi)(\/.*)?$/, /^\/(version|healthz|livez|readyz)(\/.*)?$/];

/** What everybody may ask about themselves. */
const openResources = new Set([
  "authorization.k8s.io/selfsubjectaccessreviews",
  "authorization.k8s.io/selfsubjectrulesreviews",
  "authentication.k8s.io/selfsubjectreviews",
]);

/** RBAC: allowed is what a rule of a bound role allows; everything is allowed to `system:masters`. */
export function isAllowed(user: User, action: Action, store: ObjectStore, kinds: KindRegistry): boolean {
  if (user.groups.includes("system:masters")) return true;
  if (action.t === "path" && action.verb === "get" && openPaths.some((path) => path.test(action.path))) return true;
  if (action.t === "resource" && action.verb === "create" && openResources.has(`${action.group}/${action.resource}`)) {
    return true;
  }
  const list = (key: string, namespace = ""): readonly Json[] => {
    const kind = kinds.byKey(key);
    return kind === undefined ? [] : store.list(kind, namespace);
  };
  const rulesOf = (binding: Json, namespace: string): readonly unknown[] => {
    const cluster = textAt(binding, "roleRef", "kind") === "ClusterRole";
    const kind = kinds.byKey(`${cluster ? "clusterroles" : "roles"}.rbac.authorization.k8s.io`);
    const name = textAt(binding, "roleRef", "name");
    return kind === undefined ? [] : listAt(store.get(kind, cluster ? "" : namespace, name), "rules");
  };
  const bindings = list("clusterrolebindings.rbac.authorization.k8s.io").map((binding) => [binding, ""] as const);
  const local =
    action.t === "resource" && action.namespace !== ""
      ? list("rolebindings.rbac.authorization.k8s.io", action.namespace).map(
          (binding) => [binding, action.namespace] as const,
        )
      : [];
  return [...bindings, ...local].some(
    ([binding, namespace]) =>
      listAt(binding, "subjects").some((subject) => isSubject(user, subject)) &&
      rulesOf(binding, namespace).some((rule) => allows(rule, action)),
  );
}

function isSubject(user: User, subject: unknown): boolean {
  const name = textAt(subject, "name");
  switch (at(subject, "kind")) {
    case "User":
      return user.username === name;
    case "Group":
      return user.groups.includes(name);
    case "ServiceAccount":
      return user.username === `system:serviceaccount:${textAt(subject, "namespace")}:${name}`;
    default:
      return false;
  }
}

function allows(rule: unknown, action: Action): boolean {
  const has = (field: string, value: string): boolean => {
    const values = listAt(rule, field);
    return values.includes("*") || values.includes(value);
  };
  if (!has("verbs", action.verb)) return false;
  if (action.t === "path") {
    return listAt(rule, "nonResourceURLs").some(
      (path) =>
        path === "*" ||
        path === action.path ||
        (typeof path === "string" && path.endsWith("*") && action.path.startsWith(path.slice(0, -1))),
    );
  }
  const subresource = action.resource.split("/")[1];
  const resource =
    has("resources", action.resource) ||
    (subresource !== undefined && listAt(rule, "resources").includes(`*/${subresource}`));
  const names = listAt(rule, "resourceNames");
  return has("apiGroups", action.group) && resource && (names.length === 0 || names.includes(action.name));
}

/** Upstream's words for a refusal. */
export function refusalOf(user: User, action: Action): string {
  const who = `User ${JSON.stringify(user.username)}`;
  if (action.t === "path") return `forbidden: ${who} cannot ${action.verb} path ${JSON.stringify(action.path)}`;
  const where =
    action.namespace === "" ? "at the cluster scope" : `in the namespace ${JSON.stringify(action.namespace)}`;
  const plural = action.resource.split("/")[0] ?? "";
  const named = action.name === "" ? "" : ` ${JSON.stringify(action.name)}`;
  const group = action.group === "" ? "" : `.${action.group}`;
  return `${plural}${group}${named} is forbidden: ${who} cannot ${action.verb} resource ${JSON.stringify(action.resource)} in API group ${JSON.stringify(action.group)} ${where}`;
}
