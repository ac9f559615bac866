import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { eventually } from "@weft/foundation/testing";

/** A service's own bundle in a process of its own, as a container runs it. */
export interface ServiceProcess extends AsyncDisposable {
  /** Of its gRPC server; another one after each start. */
  readonly port: number;
  /** Of its admin port. */
  readonly adminPort: number;
  /** Sends SIGKILL and waits for the end. */
  kill(): Promise<void>;
  /** Starts it again after a kill, and waits until it serves. */
  start(): Promise<void>;
  /** What it has logged, over all its lives. */
  output(): string;
}

export async function startServiceProcess(
  name: string,
  env: Readonly<Record<string, string>>,
): Promise<ServiceProcess> {
  const bundle = fileURLToPath(new URL(`../../../services/shop/${name}/dist/main.js`, import.meta.url));
  if (!existsSync(bundle)) throw new Error(`${name} is not bundled: run npm run build:bundles`);
  let child: ChildProcess | undefined;
  let printed = "";
  let life = "";
  const logged = (pattern: RegExp): number => Number(pattern.exec(life)?.[1] ?? 0);
  const ports = { grpc: 0, admin: 0 };
  const start = async (): Promise<void> => {
    if (child !== undefined && child.exitCode === null && child.signalCode === null)
      throw new Error(`${name} runs already`);
    life = "";
    const started = spawn(process.execPath, ["--enable-source-maps", bundle], {
      env: { PATH: process.env["PATH"], ...environment, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [started.stdout, started.stderr])
      stream.on("data", (chunk: Buffer) => {
        printed += chunk.toString();
        life += chunk.toString();
      });
    child = started;
    await eventually(
      () => {
        if (started.exitCode !== null) throw new Error(`${name} ended with ${started.exitCode}:\n${life}`);
        ports.grpc = logged(/"address":"127\.0\.0\.1:(\d+)".*"serving gRPC"/);
        ports.admin = logged(/"admin":(\d+).*"admin and debug ports are open"/);
        return ports.grpc > 0;
      },
      { ceilingMs: 240_000, everyMs: 10, what: `${name} to serve` },
    );
  };
  const kill = async (): Promise<void> => {
    const running = child;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const exited = once(running, "exit");
    running.kill("SIGKILL");
    await exited;
  };
  await start();
  return {
    get port() {
      return ports.grpc;
    },
    get adminPort() {
      return ports.admin;
    },
    kill,
    start,
    output: () => printed,
    [Symbol.asyncDispose]: kill,
  };
}

const environment = {
  WEFT_BIND: "127.0.0.1",
  WEFT_PORT: "0",
  WEFT_ADMIN_PORT: "0",
  WEFT_DEBUG_PORT: "0",
  POD_NAMESPACE: "shop",
  OTEL_TRACES_EXPORTER: "none",
  NODE_ENV: "production",
};
