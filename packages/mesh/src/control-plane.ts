import { type Connection, defaultKeepalive, type Keepalive, type Transport } from "@weft/wire";
import type { Lookup } from "./resolver/dns-cluster.js";
import { pacedConnector } from "./subchannel/keepalive-pace.js";

/**
 * Connects to the control plane: each attempt looks the names up anew and takes the next of their addresses,
 * beginning with a random one, so that clients spread over the replicas.
 */
export function connectControlPlane(options: {
  readonly transport: Transport;
  /** `host:port`, several divided by commas. */
  readonly addresses: string;
  readonly lookup: Lookup;
  readonly random: () => number;
  /** Default: {@link defaultKeepalive}. A frozen control plane is left for another by it. */
  readonly keepalive?: Keepalive;
}): (attempt: number, signal: AbortSignal) => Promise<Connection> {
  const servers = options.addresses.split(",").map((address) => parseAddress(address.trim()));
  const connector = pacedConnector(options.transport, options.keepalive ?? defaultKeepalive);
  const first = Math.floor(options.random() * 1_000);
  return async (attempt, signal) => {
    const found = await Promise.allSettled(
      servers.map(async (server) => ({ ...server, hosts: await options.lookup(server.host) })),
    );
    signal.throwIfAborted();
    const addresses = found.flatMap((result) =>
      result.status === "fulfilled" ? result.value.hosts.map((host) => ({ host, port: result.value.port })) : [],
    );
    const address = addresses[(first + attempt) % Math.max(1, addresses.length)];
    if (address === undefined) {
      const failed = found.find((result) => result.status === "rejected");
      throw new Error(`control plane ${options.addresses} has no address`, { cause: failed?.reason });
    }
    return connector.connect({ ...address, authority: servers[0]?.authority ?? "", connectTimeoutMs: 5_000 });
  };
}

function parseAddress(text: string): { readonly host: string; readonly port: number; readonly authority: string } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text);
  if (match === null) throw new TypeError(`control plane address ${JSON.stringify(text)} is not host:port`);
  return { host: match[1] ?? match[2] ?? "", port: Number(match[3]), authority: text };
}
