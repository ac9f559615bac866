import type { Clock } from "@weft/foundation";
import type { Balancer, Candidate, Picker } from "../balancer/picker.js";
import type { ClusterView } from "../snapshot/snapshot.js";
import { addressText, type EndpointAddress, type SubchannelPool } from "../subchannel/pool.js";
import type { Subchannel } from "../subchannel/subchannel.js";

/** An endpoint to use; lower priorities come first. */
export interface PlacedEndpoint extends EndpointAddress {
  readonly priority: number;
}

/** An endpoint for reports. */
export interface EndpointReport {
  readonly address: string;
  readonly state: "idle" | "connecting" | "ready" | "failed";
  readonly inFlight: number;
  readonly error: string | undefined;
}

interface Member extends Disposable {
  readonly subchannel: Subchannel;
  readonly priority: number;
}

/** The endpoints of one cluster: holds their subchannels and makes the picker anew when one of them changes. */
export class EndpointSet implements Disposable {
  readonly #pool: SubchannelPool;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #onChange: () => void;
  #members = new Map<string, Member>();
  #balancer: Balancer | undefined;
  #picker: Picker<Subchannel> | undefined;
  #downSinceMs = Number.POSITIVE_INFINITY;
  #connecting = false;

  constructor(options: {
    readonly pool: SubchannelPool;
    readonly clock: Clock;
    readonly random: () => number;
    /** Called when {@link EndpointSet.picker} may give another one. */
    readonly onChange: () => void;
  }) {
    this.#pool = options.pool;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#onChange = options.onChange;
  }

  /** Takes the endpoints as they are now. Those that are gone drain; new ones are connected to as the balancer wants. */
  update(endpoints: readonly PlacedEndpoint[], balancer: Balancer, connectTimeoutMs: number): void {
    const before = this.#members;
    this.#members = new Map();
    for (const endpoint of endpoints) {
      const key = addressText(endpoint);
      if (this.#members.has(key)) continue;
      const known = before.get(key);
      if (known !== undefined && known.priority === endpoint.priority) {
        before.delete(key);
        this.#members.set(key, known);
      } else {
        this.#members.set(key, this.#join(endpoint, connectTimeoutMs));
      }
    }
    for (const gone of before.values()) gone[Symbol.dispose]();
    this.#balancer = balancer;
    this.#changed();
  }

  /** The endpoints as calls see them; `undefined` before the first {@link EndpointSet.update}. */
  get view(): (ClusterView & { readonly t: "ready" }) | undefined {
    this.#picker ??= this.#balancer?.picker(this.#active(), this.#random);
    if (this.#picker === undefined) return undefined;
    return { t: "ready", picker: this.#picker, downSinceMs: this.#downSinceMs };
  }

  reports(): readonly EndpointReport[] {
    return [...this.#members.values()].map(({ subchannel }) => {
      const state = subchannel.candidate;
      const error = state.t === "failed" ? state.message : undefined;
      return { address: subchannel.address, state: state.t, inFlight: subchannel.inFlight, error };
    });
  }

  /** Whether every endpoint is down, or there is none. */
  get isDown(): boolean {
    return [...this.#members.values()].every(({ subchannel }) => subchannel.candidate.t === "failed");
  }

  [Symbol.dispose](): void {
    for (const member of this.#members.values()) member[Symbol.dispose]();
    this.#members.clear();
  }

  #join(endpoint: PlacedEndpoint, connectTimeoutMs: number): Member {
    const lease = this.#pool.lease(endpoint, connectTimeoutMs);
    const { subchannel } = lease;
    const subscription = subchannel.changes.subscribe(() => this.#changed());
    // Whoever announces an endpoint believes that it answers: no reason to sit out an old back-off.
    subchannel.connectNow();
    return {
      subchannel,
      priority: endpoint.priority,
      [Symbol.dispose]() {
        subscription[Symbol.dispose]();
        lease[Symbol.dispose]();
      },
    };
  }

  #changed(): void {
    this.#picker = undefined;
    // What changes while endpoints are being connected to is taken into account when that is done.
    if (this.#connecting) return;
    this.#connecting = true;
    for (const subchannel of this.#balancer?.wanted(this.#active()) ?? []) subchannel.connect();
    this.#connecting = false;
    this.#picker = undefined;
    if (!this.isDown) this.#downSinceMs = Number.POSITIVE_INFINITY;
    else if (this.#downSinceMs === Number.POSITIVE_INFINITY) this.#downSinceMs = this.#clock.nowMs();
    this.#onChange();
  }

  /** The candidates of the first priority that has one which is not down; of all priorities when none has. */
  #active(): readonly Candidate<Subchannel>[] {
    const byPriority = new Map<number, Candidate<Subchannel>[]>();
    const all: Candidate<Subchannel>[] = [];
    for (const { subchannel, priority } of this.#members.values()) {
      const candidate = { endpoint: subchannel, state: subchannel.candidate };
      all.push(candidate);
      const group = byPriority.get(priority);
      if (group === undefined) byPriority.set(priority, [candidate]);
      else group.push(candidate);
    }
    for (const priority of [...byPriority.keys()].sort((a, b) => a - b)) {
      const group = byPriority.get(priority) ?? [];
      if (group.some(({ state }) => state.t !== "failed")) return group;
    }
    return all;
  }
}
