import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { eventually } from "@weft/foundation/testing";

/** A real Jaeger, all in one process, that keeps its traces in memory. */
export interface Jaeger extends AsyncDisposable {
  /** Where OTLP over HTTP goes. */
  readonly otlpUrl: string;
  /** Where its query API is. */
  readonly queryUrl: string;
}

/** Starts this Jaeger on free ports of 127.0.0.1. */
export async function startJaeger(path: string): Promise<Jaeger> {
  const [query, queryGrpc, otlp, otlpGrpc, health, metrics] = await freePorts(6);
  const at = (port: number | undefined): string => `127.0.0.1:${port}`;
  const child = spawn(
    path,
    [
      `--set=extensions.jaeger_query.http.endpoint=${at(query)}`,
      `--set=extensions.jaeger_query.grpc.endpoint=${at(queryGrpc)}`,
      `--set=receivers.otlp.protocols.http.endpoint=${at(otlp)}`,
      `--set=receivers.otlp.protocols.grpc.endpoint=${at(otlpGrpc)}`,
      `--set=extensions.healthcheckv2.http.endpoint=${at(health)}`,
      `--set=service.telemetry.metrics.readers=[{pull: {exporter: {prometheus: {host: 127.0.0.1, port: ${metrics}}}}}]`,
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-4_000);
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const dispose = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await exited;
  };
  const queryUrl = `http://${at(query)}`;
  try {
    await eventually(
      async () => {
        if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
        return (await fetch(`${queryUrl}/api/services`)).ok;
      },
      { ceilingMs: 30_000, what: "Jaeger's query API" },
    );
  } catch (error) {
    await dispose();
    throw new Error(`jaeger did not start:\n${log}`, { cause: error });
  }
  return { otlpUrl: `http://${at(otlp)}`, queryUrl, [Symbol.asyncDispose]: dispose };
}

/** Ports that were free a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (typeof address === "object" && address !== null) ports.push(address.port);
  }
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  return ports;
}
