import type { ConnectedClient } from "@weft/xds";
import { shortType } from "../publish/consistency.js";
import type { Publisher } from "../publish/publisher.js";

/** What `/config` tells of the control plane. */
export interface ControlPlaneReport {
  /** Version of the newest publication; `undefined` while everything is being listed. */
  readonly version: string | undefined;
  readonly resources: readonly { readonly type: string; readonly name: string; readonly namespace?: string }[];
  readonly clients: readonly ClientReport[];
}

/** One connected process. */
export interface ClientReport {
  readonly node: string;
  readonly peer: string;
  /** Whether it has answered everything of the newest publication that concerns it. */
  readonly current: boolean;
  /** The newest version of which that is so. */
  readonly version: string | undefined;
  /** By type: the version of the newest response, and of the newest that was accepted. They stay when nothing changes. */
  readonly sent: Readonly<Record<string, string>>;
  readonly acked: Readonly<Record<string, string>>;
  readonly rejected: readonly { readonly type: string; readonly version: string; readonly message: string }[];
}

export function reportOf(publisher: Publisher, clients: readonly ConnectedClient[]): ControlPlaneReport {
  const { version, resources } = publisher;
  const named = [...(resources?.types ?? [])].flatMap(([type, byName]) =>
    [...byName.keys()].map((name) => ({ type: shortType(type), name })),
  );
  const consumers = [...(resources?.consumers ?? [])].flatMap(([namespace, byName]) =>
    [...byName.keys()].map((name) => ({ type: "RouteConfiguration", name, namespace })),
  );
  return {
    version,
    resources: [...named, ...consumers],
    clients: clients.map((client) => clientReport(client, version)),
  };
}

function clientReport(client: ConnectedClient, version: string | undefined): ClientReport {
  const versions = (pick: "sent" | "acked"): Record<string, string> =>
    Object.fromEntries(
      client.types.flatMap((state) => {
        const value = state[pick];
        return value === undefined ? [] : [[shortType(state.type), value]];
      }),
    );
  const rejected = client.types.flatMap(({ type, rejection }) =>
    rejection === undefined ? [] : [{ type: shortType(type), ...rejection }],
  );
  const isCurrent = version !== undefined && client.version !== undefined && BigInt(client.version) >= BigInt(version);
  return {
    node: client.node.id,
    peer: client.peer,
    current: isCurrent && rejected.length === 0,
    version: client.version,
    sent: versions("sent"),
    acked: versions("acked"),
    rejected,
  };
}
