import { createServer } from "node:net";
import type { Container } from "@weft/kube";

/**
 * The first of a container's ports that it can't have, if any. A Pod's address is its own, so only a program that listens on all
 * addresses of the machine can be in the way; the container would end with an error that only its log tells.
 */
export async function takenPort(container: Container, podIP: string): Promise<number | undefined> {
  for (const { containerPort, protocol } of container.ports ?? []) {
    if (protocol !== "UDP" && protocol !== "SCTP" && (await isTaken(podIP, containerPort))) return containerPort;
  }
  return undefined;
}

function isTaken(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error) => resolve("code" in error && error.code === "EADDRINUSE"));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(false)));
  });
}
