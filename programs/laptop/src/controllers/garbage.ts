import type { Logger } from "@weft/foundation";
import {
  type Deployment,
  type EndpointSlice,
  type Informer,
  isKubeError,
  type Kind,
  type KubeClient,
  type KubeObject,
  kinds,
  type OwnerReference,
  type Pod,
  type ReplicaSet,
  type Service,
} from "@weft/kube";
import { startController } from "./controller.js";

/** Removes what belonged to an object that is gone: ReplicaSets of Deployments, Pods of ReplicaSets, EndpointSlices of Services. */
export function startGarbageCollector(options: {
  readonly client: KubeClient;
  readonly deployments: Informer<Deployment>;
  readonly replicaSets: Informer<ReplicaSet>;
  readonly pods: Informer<Pod>;
  readonly services: Informer<Service>;
  readonly slices: Informer<EndpointSlice>;
  readonly logger: Logger;
}): AsyncDisposable {
  const { client, deployments, replicaSets, pods, services, slices } = options;
  const owners: Readonly<Record<string, { readonly kind: Kind; readonly informer: Informer<KubeObject> }>> = {
    Deployment: { kind: kinds.deployment, informer: deployments },
    ReplicaSet: { kind: kinds.replicaSet, informer: replicaSets },
    Service: { kind: kinds.service, informer: services },
  };

  const isGone = async (namespace: string, owner: OwnerReference, signal: AbortSignal): Promise<boolean> => {
    const known = owners[owner.kind];
    if (known === undefined) return false;
    const seen = [...known.informer.objects.value.values()].some(({ metadata }) => metadata.uid === owner.uid);
    if (seen) return false;
    // The view may be behind: only the API can say that an owner is gone.
    try {
      const found = await client.get(known.kind, { name: owner.name, namespace }, { signal });
      return found.metadata.uid !== owner.uid;
    } catch (error) {
      if (isKubeError(error, "not-found")) return true;
      throw error;
    }
  };

  const sweep = async (kind: Kind, informer: Informer<KubeObject>, signal: AbortSignal): Promise<void> => {
    for (const { metadata } of informer.objects.value.values()) {
      const references = metadata.ownerReferences ?? [];
      if (references.length === 0 || metadata.deletionTimestamp !== undefined) continue;
      const namespace = metadata.namespace ?? "default";
      const gone = await Promise.all(references.map((owner) => isGone(namespace, owner, signal)));
      if (!gone.every(Boolean)) continue;
      try {
        await client.delete(
          kind,
          { name: metadata.name, namespace },
          {
            ...(metadata.uid === undefined ? {} : { preconditions: { uid: metadata.uid } }),
            signal,
          },
        );
      } catch (error) {
        if (!isKubeError(error, "not-found") && !isKubeError(error, "conflict")) throw error;
      }
    }
  };

  return startController({
    name: "garbage",
    triggers: [deployments.objects, replicaSets.objects, services.objects, pods.objects],
    logger: options.logger,
    async reconcile(signal) {
      await sweep(kinds.replicaSet, replicaSets, signal);
      await sweep(kinds.pod, pods, signal);
      await sweep(kinds.endpointSlice, slices, signal);
      return undefined;
    },
  });
}
