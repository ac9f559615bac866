import { type Clock, type Logger, Scope, sleep } from "@weft/foundation";
import { balancerOf } from "../balancer/balancers.js";
import { defaultBalancer, defaultConnectTimeoutMs } from "../resources/cluster.js";
import type { ClusterView } from "../snapshot/snapshot.js";
import type { SubchannelPool } from "../subchannel/pool.js";
import type { DnsTarget } from "../target.js";
import type { ClusterSource } from "./cluster-source.js";
import { type EndpointReport, EndpointSet } from "./endpoint-set.js";

/** Gives the addresses of a host name; rejects when it has none. */
export type Lookup = (host: string) => Promise<readonly string[]>;

/** How often a name is looked up again: seldom while its endpoints answer, often while none does. */
const refreshMs = 30_000;
const retryMs = 2_000;

/** A cluster outside the mesh: the addresses that a DNS name has, over TLS that trusts the roots of the system. */
export class DnsCluster implements ClusterSource {
  readonly name: string;
  readonly balancer = defaultBalancer.name;
  readonly #target: DnsTarget;
  readonly #lookup: Lookup;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onChange: () => void;
  readonly #set: EndpointSet;
  readonly #scope = new Scope();
  #view: ClusterView | undefined;
  #error: string | undefined;

  constructor(options: {
    readonly name: string;
    readonly target: DnsTarget;
    readonly lookup: Lookup;
    readonly pool: SubchannelPool;
    readonly random: () => number;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly onChange: () => void;
  }) {
    this.name = options.name;
    this.#target = options.target;
    this.#lookup = options.lookup;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#onChange = options.onChange;
    this.#set = new EndpointSet({ ...options, onChange: () => this.#invalidate() });
    this.#scope.spawn((signal) => this.#run(signal));
  }

  get view(): ClusterView {
    this.#view ??= this.#makeView();
    return this.#view;
  }

  endpoints(): readonly EndpointReport[] {
    return this.#set.reports();
  }

  [Symbol.dispose](): void {
    this.#scope.abort();
    this.#set[Symbol.dispose]();
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#refresh(signal);
      await sleep(this.#set.isDown ? retryMs : refreshMs, { clock: this.#clock, signal });
    }
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    const { host, port, plaintext } = this.#target;
    try {
      const addresses = await this.#lookup(host);
      if (signal.aborted) return;
      this.#error = undefined;
      const security = plaintext ? {} : { tls: { serverName: host } };
      const endpoints = addresses.map((address) => ({ host: address, port, priority: 0, pinged: false, ...security }));
      this.#set.update(endpoints, balancerOf(defaultBalancer), defaultConnectTimeoutMs);
    } catch (error) {
      if (signal.aborted) return;
      // The addresses known so far stay in use.
      this.#error = `${host} cannot be looked up: ${error instanceof Error ? error.message : String(error)}`;
      this.#logger.warn("name lookup failed", { host, error });
      this.#invalidate();
    }
  }

  #invalidate(): void {
    this.#view = undefined;
    this.#onChange();
  }

  #makeView(): ClusterView {
    const { view } = this.#set;
    if (view !== undefined) return view;
    if (this.#error !== undefined) return { t: "failed", message: this.#error };
    return { t: "pending", missing: `addresses of ${this.#target.host}` };
  }
}
