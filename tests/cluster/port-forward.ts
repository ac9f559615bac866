import { spawn } from "node:child_process";
import { kubectlPath } from "./command.js";
import { kubeconfig } from "./environment.js";

/** A port of this machine that leads to one Pod, as `kubectl port-forward` opens it. */
export interface PortForward extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
}

/** Forwards a free port to `svc/NAME`, `pod/NAME` or `deploy/NAME`; it leads to one Pod for as long as that lives. */
export async function portForward(namespace: string, target: string, port: number | string): Promise<PortForward> {
  const args = ["--kubeconfig", kubeconfig ?? "", "--namespace", namespace, "port-forward", target, `:${port}`];
  const child = spawn(kubectlPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const exited = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const local = await new Promise<number>((resolve, reject) => {
    let printed = "";
    const read = (chunk: Buffer): void => {
      printed += chunk.toString();
      const found = /Forwarding from 127\.0\.0\.1:(\d+)/.exec(printed)?.[1];
      if (found !== undefined) resolve(Number(found));
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("error", reject);
    child.once("close", () => reject(new Error(`port-forward to ${namespace}/${target}:${port} ended:\n${printed}`)));
  });
  return {
    port: local,
    url: `http://127.0.0.1:${local}`,
    async [Symbol.asyncDispose]() {
      child.kill();
      await exited;
    },
  };
}
