import { type EndpointSlice, type KubeClient, kinds, type Pod } from "@weft/kube";
import { lineOf } from "@weft/laptop";
import { type CommandContext, withCluster } from "../context.js";
import { type ProcessConfig, readProcessConfig } from "../process-config.js";
import { formatTable } from "../terminal.js";

/** A process that does not answer by then is shown as such: status never hangs. */
const answerMs = 3_000;

export function status(context: CommandContext): Promise<number> {
  return withCluster(context, async (client) => {
    const [deployments, pods, services, slices] = await Promise.all([
      client.list(kinds.deployment),
      client.list(kinds.pod),
      client.list(kinds.service),
      client.list(kinds.endpointSlice),
    ]);
    const lines = deployments.items.map((deployment) => lineOf(deployment, pods.items));
    const table = [
      ["DEPLOYMENT", "READY", "STATE"],
      ...lines
        .map(({ namespace, name, ready, wanted, done, why }) => [
          `${namespace}/${name}`,
          `${ready}/${wanted}`,
          done ? "ready" : (why ?? "starting"),
        ])
        .sort(),
    ];
    const { stdout } = context.terminal;
    stdout.write(`${formatTable(table)}\n`);
    stdout.write(
      `${formatTable([["POD", "ADDRESS", "READY", "RESTARTS", "MESH CONFIG"], ...(await podRows(client, pods.items))])}\n`,
    );
    const serviceRows = services.items.map((service) => {
      const key = `${service.metadata.namespace}/${service.metadata.name}`;
      const ingress = service.status?.loadBalancer?.ingress?.[0];
      const outside = (ingress?.ports ?? []).map(({ port }) => `${ingress?.ip}:${port}`).join(" ");
      return [key, endpointsOf(key, slices.items) || "none", outside];
    });
    stdout.write(formatTable([["SERVICE", "ENDPOINTS", "ON THIS MACHINE"], ...serviceRows.sort()]));
    return lines.every(({ done }) => done) ? 0 : 1;
  });
}

async function podRows(client: KubeClient, pods: readonly Pod[]): Promise<readonly string[][]> {
  const configs = await Promise.all(pods.map((pod) => readProcessConfig(client, pod, answerMs)));
  const controlPlanes = configs.filter((config) => config?.clients !== undefined);
  return pods
    .map((pod, index) => {
      const { name, namespace = "default", deletionTimestamp } = pod.metadata;
      const containers = pod.status?.containerStatuses ?? [];
      const ready = containers.length > 0 && containers.every((container) => container.ready);
      const restarts = containers.reduce((sum, { restartCount }) => sum + restartCount, 0);
      return [
        `${namespace}/${name}`,
        pod.status?.podIP ?? "",
        deletionTimestamp === undefined ? (ready ? "yes" : "no") : "ending",
        String(restarts),
        describeMesh(configs[index], `${name}.${namespace}`, controlPlanes),
      ];
    })
    .sort();
}

/** Whether a process has the newest config, by what it and the control planes say. */
export function describeMesh(
  config: ProcessConfig | undefined,
  node: string,
  controlPlanes: readonly (ProcessConfig | undefined)[],
): string {
  if (config === undefined) return "no answer";
  if (config.clients !== undefined) return `serves version ${config.version ?? "none yet"}`;
  const { mesh } = config;
  if (mesh === undefined) return "-";
  if (mesh.rejected.length > 0) return `rejected: ${mesh.rejected.join("; ")}`;
  if (!mesh.connected)
    return `cut off, works from version ${mesh.version || "none"}${mesh.cause === undefined ? "" : `: ${mesh.cause}`}`;
  const known = controlPlanes
    .map((controlPlane) => controlPlane?.clients?.get(node))
    .find((client) => client !== undefined);
  if (known === undefined) return `version ${mesh.version}, no control plane knows it yet`;
  return known.current ? `current (version ${mesh.version})` : `stale: has version ${known.version ?? mesh.version}`;
}

function endpointsOf(service: string, slices: readonly EndpointSlice[]): string {
  const addresses: string[] = [];
  for (const { metadata, endpoints, ports } of slices) {
    if (`${metadata.namespace}/${metadata.labels?.["kubernetes.io/service-name"]}` !== service) continue;
    const numbers = (ports ?? []).map(({ port }) => port).join(",");
    for (const endpoint of endpoints ?? []) {
      const state =
        endpoint.conditions?.terminating === true
          ? " (ending)"
          : endpoint.conditions?.ready === false
            ? " (not ready)"
            : "";
      addresses.push(...endpoint.addresses.map((address) => `${address}:${numbers}${state}`));
    }
  }
  return addresses.join(" ");
}
