import { at, sameJson } from "../../kinds/path.js";
import type { Json } from "../../kinds/resource-kind.js";
import { frontProxyName } from "../certificates.js";
import { systemWrite } from "../garbage.js";
import type { KindRegistry } from "../kind-registry.js";
import type { ApiObjects } from "../objects.js";
import type { ObjectStore } from "../store.js";

/** How servers behind this API learn who is asking: names of headers, and whose word on them to take. */
export const frontProxyHeaders = {
  username: "X-Remote-User",
  uid: "X-Remote-Uid",
  group: "X-Remote-Group",
  extraPrefix: "X-Remote-Extra-",
} as const;

const namespace = "kube-system";
const name = "extension-apiserver-authentication";

/**
 * Publishes, as every cluster does, what a server behind this API needs: ConfigMap `extension-apiserver-authentication`, the Role that reads it, and
 * the ClusterRole under which such a server asks whether its callers may.
 */
export function publishFrontProxy(options: {
  readonly store: ObjectStore;
  readonly kinds: KindRegistry;
  readonly objects: ApiObjects;
  /** What clients' certificates descend from. */
  readonly clientCa: string;
  /** What the API's own certificate as a front proxy descends from. */
  readonly frontProxyCa: string;
}): void {
  const { store, kinds, objects } = options;
  const ensure = (
    key: string,
    place: string,
    wanted: Json & { readonly metadata: { readonly name: string } },
  ): void => {
    const kind = kinds.byKey(key);
    if (kind === undefined) return;
    const found = store.get(kind, place, wanted.metadata.name);
    if (found === undefined) objects.create(systemWrite(kind, place), wanted);
    else if (!["data", "rules"].every((field) => sameJson(at(found, field), wanted[field])))
      objects.replace(systemWrite(kind, place), wanted.metadata.name, {
        ...found,
        ...wanted,
        metadata: found["metadata"],
      });
  };
  ensure("configmaps", namespace, {
    metadata: { name },
    data: {
      "client-ca-file": options.clientCa,
      "requestheader-allowed-names": JSON.stringify([frontProxyName]),
      "requestheader-client-ca-file": options.frontProxyCa,
      "requestheader-extra-headers-prefix": JSON.stringify([frontProxyHeaders.extraPrefix]),
      "requestheader-group-headers": JSON.stringify([frontProxyHeaders.group]),
      "requestheader-uid-headers": JSON.stringify([frontProxyHeaders.uid]),
      "requestheader-username-headers": JSON.stringify([frontProxyHeaders.username]),
    },
  });
  ensure("roles.rbac.authorization.k8s.io", namespace, {
    metadata: { name: `${name}-reader` },
    rules: [{ apiGroups: [""], resources: ["configmaps"], resourceNames: [name], verbs: ["get", "list", "watch"] }],
  });
  ensure("clusterroles.rbac.authorization.k8s.io", "", {
    metadata: { name: "system:auth-delegator" },
    rules: [
      { apiGroups: ["authentication.k8s.io"], resources: ["tokenreviews"], verbs: ["create"] },
      { apiGroups: ["authorization.k8s.io"], resources: ["subjectaccessreviews"], verbs: ["create"] },
    ],
  });
}
