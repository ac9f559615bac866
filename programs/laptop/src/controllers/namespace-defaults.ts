import type { Logger } from "@weft/foundation";
import {
  type ConfigMap,
  type Informer,
  isKubeError,
  type KubeClient,
  keyOf,
  kinds,
  type Namespace,
  type ServiceAccount,
} from "@weft/kube";
import { startController } from "./controller.js";

/** Gives every namespace what Kubernetes gives it: ServiceAccount `default` and ConfigMap `kube-root-ca.crt`. */
export function startNamespaceDefaults(options: {
  readonly client: KubeClient;
  readonly namespaces: Informer<Namespace>;
  readonly serviceAccounts: Informer<ServiceAccount>;
  readonly configMaps: Informer<ConfigMap>;
  /** PEM. */
  readonly ca: string;
  readonly logger: Logger;
}): AsyncDisposable {
  const { client, namespaces, serviceAccounts, configMaps, ca } = options;
  return startController({
    name: "namespace-defaults",
    triggers: [namespaces.objects, serviceAccounts.objects, configMaps.objects],
    logger: options.logger,
    async reconcile(signal) {
      for (const { metadata } of namespaces.objects.value.values()) {
        if (metadata.deletionTimestamp !== undefined) continue;
        const namespace = metadata.name;
        if (!serviceAccounts.objects.value.has(keyOf({ name: "default", namespace }))) {
          await unlessThere(
            client.create(kinds.serviceAccount, { metadata: { name: "default", namespace } }, { signal }),
          );
        }
        const name = "kube-root-ca.crt";
        const found = configMaps.objects.value.get(keyOf({ name, namespace }));
        const data = { "ca.crt": ca };
        if (found === undefined)
          await unlessThere(client.create(kinds.configMap, { metadata: { name, namespace }, data }, { signal }));
        else if (found.data?.["ca.crt"] !== ca)
          await client.patch(kinds.configMap, { name, namespace }, { t: "merge", body: { data } }, { signal });
      }
      return undefined;
    },
  });
}

async function unlessThere(created: Promise<unknown>): Promise<void> {
  try {
    await created;
  } catch (error) {
    // The view was behind: what is wanted is there.
    if (!isKubeError(error, "already-exists")) throw error;
  }
}
