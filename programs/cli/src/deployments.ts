import { type Deployment, type KubeClient, kinds, type Pod } from "@weft/kube";
import { CommandError } from "./terminal.js";

/** The Deployment of a name, `orders` or `shop/orders`; one that does not exist, or is not the only one, is an error that lists what there is. */
export async function findDeployment(client: Pick<KubeClient, "list">, name: string): Promise<Deployment> {
  const all = (await client.list(kinds.deployment)).items;
  const found = all.filter(
    ({ metadata }) => name === metadata.name || name === `${metadata.namespace}/${metadata.name}`,
  );
  const [only] = found;
  const names = (some: readonly Deployment[]): string =>
    some
      .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
      .sort()
      .join(", ");
  if (only === undefined) throw new CommandError(`there is no Deployment "${name}"; there are ${names(all) || "none"}`);
  if (found.length > 1) throw new CommandError(`"${name}" could be ${names(found)}: give the namespace too`);
  return only;
}

/** The Pods that a Deployment's selector takes in, the oldest first. */
export async function podsOf(client: Pick<KubeClient, "list">, deployment: Deployment): Promise<readonly Pod[]> {
  const { namespace = "default" } = deployment.metadata;
  const labels = Object.entries(deployment.spec.selector.matchLabels ?? {});
  const labelSelector = labels.map(([key, value]) => `${key}=${value}`).join(",");
  const pods = (await client.list(kinds.pod, { namespace, labelSelector })).items;
  return pods.toSorted((a, b) =>
    (a.metadata.creationTimestamp ?? "") < (b.metadata.creationTimestamp ?? "") ? -1 : 1,
  );
}
