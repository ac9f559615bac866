import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { SagaAdminService } from "@weft/contracts/weft/saga/v1";
import type { KubeClient, Pod } from "@weft/kube";
import { findDeployment, podsOf } from "../deployments.js";
import { CommandError } from "../terminal.js";

/** The operator's door of one service, reached through the API server. */
export interface SagaDoor extends AsyncDisposable {
  readonly admin: Client<typeof SagaAdminService>;
  /** `namespace/name` of the Pod that answers. */
  readonly pod: string;
}

/** Metadata by which a service knows who calls; whoever may forward ports into its Pods is trusted with it. */
const userHeader = "weft-user";

/** Reaches the sagas of a Deployment through one of its ready Pods. `operator` is who acts, in the audit rows. */
export async function reachSagas(
  client: Pick<KubeClient, "list" | "portForward">,
  deploymentName: string,
  operator: string,
): Promise<SagaDoor> {
  const deployment = await findDeployment(client, deploymentName);
  const pod = (await podsOf(client, deployment)).find(isReady);
  if (pod === undefined) throw new CommandError(`${deploymentName} has no ready Pod: see "weft status"`);
  const door = await openSagaDoor(client, pod, { operator });
  if (door === undefined) throw new CommandError(`${deploymentName} keeps no sagas: it has no port named "grpc"`);
  return door;
}

/**
 * Opens a port-forward to the port `grpc` of a Pod, and speaks gRPC over it: Kubernetes' own rules say who may.
 * Nothing when the Pod has no such port. Whether it keeps sagas only its answers tell.
 */
export async function openSagaDoor(
  client: Pick<KubeClient, "portForward">,
  pod: Pod,
  options: { readonly operator: string; readonly signal?: AbortSignal },
): Promise<SagaDoor | undefined> {
  const port = portOf(pod);
  if (port === undefined) return undefined;
  const { name, namespace = "default" } = pod.metadata;
  const bounds = options.signal === undefined ? {} : { signal: options.signal };
  const stream = await client.portForward({ name, namespace }, port, bounds);
  const transport = createGrpcTransport({
    baseUrl: `http://${name}.${namespace}:${port}`,
    nodeOptions: { createConnection: () => stream },
    interceptors: [
      (next) => (request) => {
        request.header.set(userHeader, options.operator);
        return next(request);
      },
    ],
  });
  return {
    admin: createClient(SagaAdminService, transport),
    pod: `${namespace}/${name}`,
    async [Symbol.asyncDispose]() {
      stream.destroy();
    },
  };
}

export function isReady(pod: Pod): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  return pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
}

function portOf(pod: Pod): number | undefined {
  const ports = pod.spec.containers.flatMap(({ ports = [] }) => ports);
  return ports.find(({ name }) => name === "grpc")?.containerPort;
}
