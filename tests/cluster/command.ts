import { run } from "../e2e/laptop.js";
import { kubeconfig, type Verb, verb } from "./environment.js";

/** Runs a program to its end and gives its standard output; what it said on failure is the error. */
export async function must(command: string, args: readonly string[], input?: string): Promise<string> {
  const result = await run(command, args, { env: process.env, input });
  if (result.code !== 0)
    throw new Error(`${command} ${args.join(" ")} ended with ${result.code}:\n${result.stderr}${result.stdout}`);
  return result.stdout;
}

/** The kubectl to use: the one that came with the cluster, else the one on the path. */
export const kubectlPath = verb("kubectl") ?? "kubectl";

/** Runs kubectl against the cluster under test and gives its standard output. */
export function kubectl(args: readonly string[], input?: string): Promise<string> {
  return must(kubectlPath, ["--kubeconfig", kubeconfig ?? "", ...args], input);
}

/** Runs a verb of the cluster's folder; a cluster that lacks it is an error, since tests ask first. */
export function runVerb(name: Verb, ...args: readonly string[]): Promise<string> {
  const path = verb(name);
  if (path === undefined) throw new Error(`this cluster has no verb "${name}"`);
  return must(path, args);
}
