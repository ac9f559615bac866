import { type Deployment, type EndpointSlice, type KubeClient, kinds, type Pod } from "@weft/kube";
import { lineOf } from "@weft/laptop";
import { type CommandContext, withCluster } from "../context.js";
import { type ProcessConfig, readProcessConfig } from "../process-config.js";
import { formatTable } from "../terminal.js";

/** A process that does not answer by then is shown as such: status never hangs. */
const answerMs = 3_000;
const apiMs = 5_000;

export function status(context: CommandContext): Promise<number> {
  return withCluster(context, async (client) => {
    const signal = AbortSignal.timeout(apiMs);
    const [deployments, pods, services, slices] = await Promise.all([
      client.list(kinds.deployment, { signal }),
      client.list(kinds.pod, { signal }),
      client.list(kinds.service, { signal }),
      client.list(kinds.endpointSlice, { signal }),
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
    const { sagaTrouble } = await import("../sagas/trouble.js");
    const trouble = await sagaTrouble(client, podsByDeployment(deployments.items, pods.items));
    if (trouble.length > 0) stdout.write(`\n${trouble.join("\n")}\n`);
    return lines.every(({ done }) => done) ? 0 : 1;
  });
}

/** The Pods that each Deployment's selector takes in, by `namespace/name`. */
function podsByDeployment(
  deployments: readonly Deployment[],
  pods: readonly Pod[],
): ReadonlyMap<string, readonly Pod[]> {
  return new Map(
    deployments.map(({ metadata, spec }) => {
      const labels = Object.entries(spec.selector.matchLabels ?? {});
      const own = pods.filter(
        (pod) =>
          pod.metadata.namespace === metadata.namespace &&
          labels.every(([label, value]) => pod.metadata.labels?.[label] === value),
      );
      return [`${metadata.namespace}/${metadata.name}`, own] as const;
    }),
  );
}

async function podRows(client: KubeClient, pods: readonly Pod[]): Promise<readonly string[][]> {
  const answers = await Promise.all(pods.map((pod) => readProcessConfig(client, pod, answerMs)));
  const controlPlanes = answers
    .filter((answer) => typeof answer !== "string")
    .filter(({ clients }) => clients !== undefined);
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
        describeMesh(answers[index] ?? "none", `${name}.${namespace}`, controlPlanes),
      ];
    })
    .sort();
}

/** Whether a process has the newest config, by what it and the control planes say. */
export function describeMesh(
  answer: ProcessConfig | "none" | "no answer",
  node: string,
  controlPlanes: readonly ProcessConfig[],
): string {
  if (answer === "none") return "-";
  if (answer === "no answer") return answer;
  if (answer.clients !== undefined) return `serves version ${answer.version ?? "none yet"}`;
  const { mesh } = answer;
  if (mesh === undefined) return "-";
  if (mesh.rejected.length > 0) return `rejected: ${mesh.rejected.join("; ")}`;
  if (!mesh.connected) {
    if (mesh.version === "" && mesh.targets === 0) return "none needed: it calls no service";
    return `cut off, works from version ${mesh.version || "none"}${mesh.cause === undefined ? "" : `: ${mesh.cause}`}`;
  }
  const known = controlPlanes.map(({ clients }) => clients?.get(node)).find((client) => client !== undefined);
  if (known === undefined) return `version ${mesh.version}, no control plane lists it`;
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
