import { describe } from "vitest";
import type { Transport } from "../transport.js";
import { callsContract } from "./contract/calls.js";
import { connectionContract } from "./contract/connection.js";
import { drainContract } from "./contract/drain.js";
import { endingContract } from "./contract/ending.js";
import { flowContract } from "./contract/flow.js";
import { gapsContract, type TransportGap } from "./contract/gaps.js";
import { keepaliveContract } from "./contract/keepalive.js";
import { limitsContract } from "./contract/limits.js";
import { peersContract } from "./contract/peers.js";

/**
 * The behaviour that every {@link Transport} shows. Run it from a test file: each rule is a test of its own.
 * `gaps` are rules that this transport is known to break, each with its reason in the transport's README; a new transport has none.
 */
export function runTransportContract(
  name: string,
  create: () => Transport,
  options: { readonly gaps?: readonly TransportGap[] } = {},
): void {
  describe(`${name} as a transport`, () => {
    const transport = create();
    callsContract(transport);
    flowContract(transport);
    endingContract(transport);
    limitsContract(transport);
    drainContract(transport);
    connectionContract(transport);
    keepaliveContract(transport);
    peersContract(transport);
    gapsContract(transport, options.gaps ?? []);
  });
}
