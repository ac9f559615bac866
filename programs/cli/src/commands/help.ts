import type { CommandName } from "../context.js";

const common = `  --state DIR     where this laptop keeps things (default: .weft in the checkout)
  -h, --help      show this help
`;

const texts: Readonly<
  Record<CommandName, { readonly brief: string; readonly usage: string; readonly options: string }>
> = {
  up: {
    brief: "start the laptop cluster and keep it up until Ctrl-C",
    usage: "weft up [--overlay DIR] [--explain] [--no-sample]",
    options: `  --overlay DIR   run this kustomization (default: k8s/overlays/laptop)
  --explain       list the manifest fields that mean nothing on one machine, and start nothing
  --no-sample     place no sample order
`,
  },
  status: {
    brief: "show Deployments, Pods, endpoints, and whether each process has the newest mesh config",
    usage: "weft status",
    options: "",
  },
  logs: {
    brief: "print what the Pods of a Deployment wrote",
    usage: "weft logs NAME [-f] [--tail N] [-p]",
    options: `  -f, --follow    go on as they write, new Pods too
  --tail N        only the last N lines of each Pod
  -p, --previous  the run before the last restart
`,
  },
  restart: {
    brief: "replace the Pods of a Deployment, one after the other, and wait",
    usage: "weft restart NAME",
    options: "",
  },
  kubeconfig: { brief: "print the path of the kubeconfig, for kubectl", usage: "weft kubeconfig", options: "" },
  down: { brief: "end the laptop that runs in the background or another terminal", usage: "weft down", options: "" },
  reset: { brief: "remove all data: databases, objects, logs", usage: "weft reset", options: "" },
};

/** Every command in one line each. */
export function overview(): string {
  const lines = Object.entries(texts).map(([name, { brief }]) => `  ${name.padEnd(11)} ${brief}\n`);
  return `weft runs a proxyless service mesh on this machine.

usage: weft COMMAND [OPTIONS]

${lines.join("")}  ${"help".padEnd(11)} show this, or "weft help COMMAND" for one command

NAME is a Deployment: orders, or shop/orders.
Use kubectl with: export KUBECONFIG=$(npx weft kubeconfig)
`;
}

/** One command, whole. */
export function helpOf(name: CommandName): string {
  const { brief, usage, options } = texts[name];
  return `${usage}\n\n${brief[0]?.toUpperCase()}${brief.slice(1)}.\n\n${options}${common}`;
}
