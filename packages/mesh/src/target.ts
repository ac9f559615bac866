import { type Parsed, parsed, refused } from "@weft/foundation";

/** What a call is addressed to. */
export type Target = MeshTarget | DnsTarget;

/** A Kubernetes Service, found by the control plane. */
export interface MeshTarget {
  readonly t: "mesh";
  /** Name of the listener: `<service>.<namespace>`, with `:<port>` when one was given. */
  readonly key: string;
  readonly host: string;
  readonly port: number | undefined;
}

/** A host outside the mesh, found by DNS. */
export interface DnsTarget {
  readonly t: "dns";
  readonly key: string;
  readonly host: string;
  readonly port: number;
  /** Only for a host that is a loopback address: nothing leaves the machine in the clear. */
  readonly plaintext: boolean;
}

const label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
const serviceName = new RegExp(`^(${label})(?:\\.(${label}))?(?::(\\d{1,5}))?$`);
const dnsName = /^dns:\/\/\/([A-Za-z0-9._-]{1,253}|\[[0-9a-fA-F:.]{2,45}\]):(\d{1,5})$/;

/**
 * Reads what `mesh.to` was given: `orders`, `orders.shop`, `orders.shop:8080`, or `dns:///api.example.com:443`.
 * A name without a namespace is of `namespace`; one without a port means the Service's port named `grpc`, else its only one.
 */
export function parseTarget(text: string, namespace: string): Parsed<Target> {
  if (text.startsWith("dns:")) return parseDnsTarget(text);
  const match = serviceName.exec(text);
  if (match === null) {
    return refused(`target ${JSON.stringify(text)}: neither service[.namespace][:port] nor dns:///host:port`);
  }
  const host = `${match[1]}.${match[3] ?? namespace}`;
  const port = match[5] === undefined ? undefined : Number(match[5]);
  if (port !== undefined && !isPort(port)) return refused(`target ${JSON.stringify(text)}: ${port} is no port`);
  return parsed({ t: "mesh", key: port === undefined ? host : `${host}:${port}`, host, port });
}

function parseDnsTarget(text: string): Parsed<DnsTarget> {
  const match = dnsName.exec(text);
  const port = Number(match?.[2]);
  if (match === null || !isPort(port)) return refused(`target ${JSON.stringify(text)}: not dns:///host:port`);
  const host = (match[1] ?? "").replace(/^\[(.*)\]$/, "$1");
  const plaintext = host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
  return parsed({ t: "dns", key: text, host, port, plaintext });
}

function isPort(port: number): boolean {
  return port >= 1 && port <= 65_535;
}
