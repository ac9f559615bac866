import type { BackoffPolicy, Clock } from "@weft/foundation";
import { connectionBackoff } from "@weft/foundation";
import { type ClientTls, defaultKeepalive, type Keepalive, type Transport } from "@weft/wire";
import { pacedConnector } from "./keepalive-pace.js";
import { Subchannel } from "./subchannel.js";

/**
 * Waits between attempts to connect to an endpoint. Shorter than gRPC's own from the start, because what is dialled is a Pod:
 * one that restarts is back within a second, and a refused connection costs next to nothing.
 */
export const endpointBackoff: BackoffPolicy = { ...connectionBackoff, initialMs: 200, maxMs: 5_000 };

/** How long streams may go on to an endpoint that is no longer named: the server's own drain ends them long before. */
const releasedDrainMs = 600_000;

export interface EndpointAddress {
  readonly host: string;
  readonly port: number;
  /** Plaintext when absent. */
  readonly tls?: ClientTls;
  /** Whether it may be pinged: a server outside the mesh most likely takes that amiss. */
  readonly pinged: boolean;
}

/** A use of a subchannel. Disposing the last one drains it. */
export interface SubchannelLease extends Disposable {
  readonly subchannel: Subchannel;
}

interface Slot {
  readonly subchannel: Subchannel;
  leases: number;
}

/** All subchannels of a mesh: clusters that name the same endpoint share its connection. */
export class SubchannelPool implements AsyncDisposable {
  readonly #transport: Transport;
  readonly #keepalive: Keepalive;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #slots = new Map<string, Slot>();
  readonly #draining = new Map<Subchannel, Promise<void>>();

  constructor(options: {
    readonly transport: Transport;
    readonly clock: Clock;
    readonly random: () => number;
    /** Of endpoints that may be pinged. Default: {@link defaultKeepalive}. */
    readonly keepalive?: Keepalive;
  }) {
    this.#transport = options.transport;
    this.#keepalive = options.keepalive ?? defaultKeepalive;
    this.#clock = options.clock;
    this.#random = options.random;
  }

  /** How many addresses are in use, and how many still end their streams. */
  get size(): { readonly open: number; readonly draining: number } {
    return { open: this.#slots.size, draining: this.#draining.size };
  }

  lease(address: EndpointAddress, connectTimeoutMs: number): SubchannelLease {
    const key = JSON.stringify([addressText(address), address.tls?.serverName, address.pinged]);
    const slot = this.#slots.get(key) ?? this.#create(key, address, connectTimeoutMs);
    slot.leases += 1;
    let over = false;
    return {
      subchannel: slot.subchannel,
      [Symbol.dispose]: () => {
        if (over) return;
        over = true;
        slot.leases -= 1;
        if (slot.leases > 0) return;
        this.#slots.delete(key);
        this.#drain(slot.subchannel, releasedDrainMs);
      },
    };
  }

  /** Closes everything; what is in flight ends UNAVAILABLE. */
  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...[...this.#slots.values()].map((slot) => slot.subchannel), ...this.#draining.keys()];
    this.#slots.clear();
    await Promise.all(all.map((subchannel) => subchannel.close(0)));
    await Promise.all(this.#draining.values());
  }

  #create(key: string, address: EndpointAddress, connectTimeoutMs: number): Slot {
    const { host, port, tls, pinged } = address;
    const connector = pinged ? pacedConnector(this.#transport, this.#keepalive) : this.#transport;
    const subchannel = new Subchannel({
      address: addressText(address),
      dial: () => connector.connect({ host, port, connectTimeoutMs, ...(tls === undefined ? {} : { tls }) }),
      clock: this.#clock,
      backoff: endpointBackoff,
      random: this.#random,
    });
    const slot: Slot = { subchannel, leases: 0 };
    this.#slots.set(key, slot);
    return slot;
  }

  #drain(subchannel: Subchannel, drainMs: number): void {
    const drained = subchannel.close(drainMs).finally(() => this.#draining.delete(subchannel));
    this.#draining.set(subchannel, drained);
  }
}

/** `host:port`, an IPv6 host in brackets. */
export function addressText(address: { readonly host: string; readonly port: number }): string {
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
