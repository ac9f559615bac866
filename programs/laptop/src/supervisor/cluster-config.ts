import { type ConfigMap, type Informer, type KubeClient, keyOf, type Secret } from "@weft/kube";
import type { Databases } from "../controllers/databases.js";
import { ConfigMissing, type ConfigSource } from "../kubelet/config-source.js";

/** What Pods are configured from, as the API has it; a Secret whose database is not made sure of yet must be waited for. */
export function createClusterConfig(options: {
  readonly client: KubeClient;
  readonly configMaps: Informer<ConfigMap>;
  readonly secrets: Informer<Secret>;
  readonly databases: Databases;
}): ConfigSource {
  const { client, configMaps, secrets, databases } = options;
  return {
    configMap: (namespace, name) => configMaps.objects.value.get(keyOf({ name, namespace })),
    secret(namespace, name) {
      const secret = secrets.objects.value.get(keyOf({ name, namespace }));
      const why = secret === undefined ? undefined : databases.holdBack(secret);
      if (why !== undefined) throw new ConfigMissing(why);
      return secret;
    },
    async token(pod, { audience, expirationSeconds }) {
      const { name, namespace = "default", uid } = pod.metadata;
      const issued = await client.issueToken(
        { name: pod.spec.serviceAccountName ?? "default", namespace },
        {
          expirationSeconds,
          ...(audience === undefined ? {} : { audiences: [audience] }),
          boundTo: { kind: "Pod", name, ...(uid === undefined ? {} : { uid }) },
        },
      );
      return { token: issued.token, expiresAtMs: Date.parse(issued.expirationTimestamp) };
    },
    changed: (signal) =>
      new Promise((resolve) => {
        const settle = (): void => {
          for (const subscription of subscriptions) subscription[Symbol.dispose]();
          signal.removeEventListener("abort", settle);
          resolve();
        };
        const subscriptions = [configMaps.objects, secrets.objects, databases.ready].map((watch) =>
          watch.subscribe(settle),
        );
        if (signal.aborted) settle();
        else signal.addEventListener("abort", settle, { once: true });
      }),
  };
}
