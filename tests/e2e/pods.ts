import { eventually } from "@weft/foundation/testing";
import { type KubeClient, kinds, type Pod } from "@weft/kube";

/** The Pods of a Deployment by its usual label, that are not going away. */
export async function podsOf(client: KubeClient, namespace: string, name: string): Promise<Pod[]> {
  const list = await client.list(kinds.pod, { namespace, labelSelector: `app.kubernetes.io/name=${name}` });
  return list.items.filter((pod) => pod.metadata.deletionTimestamp === undefined);
}

/** Calls that a Pod has served so far, by its own metrics. */
export async function servedCalls(pod: Pod): Promise<number> {
  const answer = await fetch(`http://${pod.status?.podIP}:9464/metrics`);
  let total = 0;
  for (const line of (await answer.text()).split("\n")) {
    const match = /^grpc_server_call_duration\w*_count(?:\{(.*)\})? (\S+)/.exec(line);
    if (match !== null && !/grpc\.(health|reflection)/.test(match[1] ?? "")) total += Number(match[2]);
  }
  return total;
}

/** Waits until a Deployment has this many ready replicas, all of its newest template, and no others. */
export async function deploymentReady(client: KubeClient, namespace: string, name: string): Promise<void> {
  await eventually(
    async () => {
      const deployment = await client.get(kinds.deployment, { namespace, name });
      const wanted = deployment.spec?.replicas ?? 1;
      const status = deployment.status;
      return (
        status?.observedGeneration === deployment.metadata.generation &&
        (status?.updatedReplicas ?? 0) === wanted &&
        (status?.readyReplicas ?? 0) === wanted &&
        (status?.replicas ?? 0) === wanted
      );
    },
    { ceilingMs: 120_000, everyMs: 100, what: `deployment ${namespace}/${name} ready` },
  );
}
