import type { CommandName } from "../context.js";

const common = `  --state DIR     where this laptop keeps things (default: .weft in the checkout)
  -h, --help      show this help
`;

const whichCluster = `  --kubeconfig F  of the cluster of this kubeconfig (default: of this laptop)
  --context NAME  of this context of it; alone, of the kubeconfig that kubectl uses
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
    usage: "weft status [--kubeconfig F] [--context NAME]",
    options: whichCluster,
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
  load: {
    brief: "shop as people do, and print rates, latencies and errors until Ctrl-C",
    usage: `weft load [--rate N] [--users M] [--minutes T] [--gateway URL] [--seed S] [--json FILE]
weft load --context NAME [--kubeconfig F] ...`,
    options: `  --rate N        calls a second, over the long run (default: 10)
  --users M       how many people there are (default: 50)
  --minutes T     end after so long (default: go on)
  --gateway URL   the shop's public address (default: that of this laptop)
  --seed S        let the same people do the same things in the same order
  --json FILE     write the summary there too
${whichCluster}`,
  },
  sagas: {
    brief: "show the sagas of a service, and act on those that need somebody",
    usage: `weft sagas list [--only STATES] [--name SAGA] [--limit N]
weft sagas show ID
weft sagas retry ID --reason TEXT
weft sagas skip ID STEP --reason TEXT [--result JSON]
weft sagas compensate ID --reason TEXT [--force]`,
    options: `  --service NAME  the Deployment whose sagas are meant (default: orders)
${whichCluster}  --only STATES   of running, compensating, completed, compensated, parked; with commas between
  --name SAGA     only sagas of this definition
  --limit N       at most so many (default: 50)
  --reason TEXT   why: it is kept in the audit row, with your name
  --result JSON   what the skipped step would have given, where later steps need it
  --force         turn back a parked saga although its pivot was begun
`,
  },
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
