import { createServer, type Socket } from "node:net";
import { pipeline } from "node:stream";
import { isKubeError, type KubeClient } from "@weft/kube";
import { findDeployment, podsOf } from "./deployments.js";
import { isReady } from "./sagas/reach.js";
import { CommandError } from "./terminal.js";

/** A port of this machine that leads into a cluster. */
export interface Forward extends AsyncDisposable {
  readonly url: string;
}

/** Forwards a free port of 127.0.0.1 to a named port of a Deployment: each connection to a Pod that is ready as it comes. */
export async function forwardTo(
  client: Pick<KubeClient, "list" | "portForward">,
  deploymentName: string,
  portName: string,
): Promise<Forward> {
  const deployment = await findDeployment(client, deploymentName);
  const open = async () => {
    const pod = (await podsOf(client, deployment)).find(isReady);
    const ports = pod?.spec.containers.flatMap(({ ports = [] }) => ports);
    const port = ports?.find(({ name }) => name === portName)?.containerPort;
    if (pod === undefined || port === undefined) throw new CommandError(`${deploymentName} has no ready Pod`);
    return await client.portForward({ name: pod.metadata.name, namespace: pod.metadata.namespace ?? "" }, port);
  };
  // Whether there is a Pod is said now, not at the first connection.
  (await open()).destroy();

  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => {}); // the caller's side of what the pipeline reports
    open().then(
      (stream) => {
        pipeline(socket, stream, () => {});
        pipeline(stream, socket, () => {});
      },
      (error: unknown) => {
        // The caller sees its connection end, as it would if the Pod were away.
        socket.destroy(error instanceof CommandError || isKubeError(error) ? undefined : toError(error));
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
