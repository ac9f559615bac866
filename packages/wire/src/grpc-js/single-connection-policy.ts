import { type ChannelOptions, connectivityState, experimental, Metadata, status } from "@grpc/grpc-js";
import { TooManyPings } from "../transport.js";
import { parseKeepaliveTimeMs } from "./keepalive.js";

/**
 * A grpc-js load-balancing policy that makes a channel be one connection: it connects once and never again.
 * A call that finds the connection not ready fails with {@link neverSent} as its metadata, which proves that nothing of it was sent.
 *
 *   connecting ──> ready ──GOAWAY or loss──> lost
 *        └── no address accepts ──────────────^
 */
export const singleConnectionPolicyName = "weft_single_connection";

/** The channel option that carries the {@link ConnectionOwner}; grpc-js keeps this prefix from subchannels. */
const ownerOption = `${experimental.SUBCHANNEL_ARGS_EXCLUDE_KEY_PREFIX}.weft_connection_owner`;

/** Metadata, by identity, of each call that this policy failed before it was sent. */
export const neverSent = new Metadata();

/** Who is told what becomes of the connection. */
export interface ConnectionOwner {
  ready(): void;
  /** It takes no more streams: it could not be made, was lost, or the peer is closing it. */
  lost(cause: Error): void;
}

/** The channel options that select the policy and name its owner. */
export function singleConnectionOptions(owner: ConnectionOwner): ChannelOptions {
  return {
    "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ [singleConnectionPolicyName]: {} }] }),
    [ownerOption]: owner,
  };
}

/** Makes the policy known to grpc-js, whose registry is one per process; again is harmless. */
export function registerSingleConnectionPolicy(): void {
  if (experimental.isLoadBalancerNameRegistered(singleConnectionPolicyName)) return;
  experimental.registerLoadBalancerType(singleConnectionPolicyName, SingleConnectionPolicy, SingleConnectionConfig);
}

class SingleConnectionConfig implements experimental.TypedLoadBalancingConfig {
  static createFromJson(): SingleConnectionConfig {
    return new SingleConnectionConfig();
  }

  getLoadBalancerName(): string {
    return singleConnectionPolicyName;
  }

  toJsonObject(): object {
    return { [singleConnectionPolicyName]: {} };
  }
}

class SingleConnectionPolicy implements experimental.LoadBalancer {
  readonly #channel: experimental.ChannelControlHelper;
  readonly #untried: experimental.SubchannelAddress[] = [];
  #started = false;
  #subchannel: experimental.SubchannelInterface | undefined;
  #owner: ConnectionOwner | undefined;
  #options: ChannelOptions = {};

  constructor(channel: experimental.ChannelControlHelper) {
    this.#channel = channel;
  }

  updateAddressList(
    endpoints: ReturnType<typeof experimental.statusOrFromValue<experimental.Endpoint[]>>,
    _config: experimental.TypedLoadBalancingConfig,
    options: ChannelOptions,
  ): boolean {
    if (this.#started) return true;
    this.#started = true;
    this.#owner = fromOptions(options);
    this.#options = options;
    if (endpoints.ok) this.#untried.push(...endpoints.value.flatMap((endpoint) => endpoint.addresses));
    this.#tryNext(endpoints.ok ? "the name has no address" : endpoints.error.details);
    return endpoints.ok;
  }

  exitIdle(): void {}

  resetBackoff(): void {}

  destroy(): void {
    this.#release();
  }

  getTypeName(): string {
    return singleConnectionPolicyName;
  }

  #tryNext(lastError: string): void {
    this.#release();
    const address = this.#untried.shift();
    if (address === undefined) {
      this.#lost(lastError);
      return;
    }
    this.#channel.updateState(connectivityState.CONNECTING, refusing("connecting"), null);
    const subchannel = this.#channel.createSubchannel(address, this.#options);
    this.#subchannel = subchannel;
    subchannel.ref();
    subchannel.addConnectivityStateListener(this.#onChange);
    subchannel.startConnecting();
  }

  readonly #onChange: experimental.ConnectivityStateListener = (_subchannel, previous, next, _keepalive, error) => {
    const subchannel = this.#subchannel;
    if (subchannel === undefined) return;
    if (next === connectivityState.READY) {
      this.#channel.updateState(connectivityState.READY, { pick: () => picked(subchannel) }, null);
      this.#owner?.ready();
    } else if (previous === connectivityState.READY) {
      this.#release();
      const reason = "the peer ended the connection";
      this.#channel.updateState(connectivityState.TRANSIENT_FAILURE, refusing(reason), reason);
      // Whether the peer complained of pings is known only when grpc-js has told all its listeners.
      queueMicrotask(() =>
        this.#owner?.lost(this.#wasTooManyPings(subchannel) ? new TooManyPings() : new Error(reason)),
      );
    } else if (next === connectivityState.TRANSIENT_FAILURE) {
      this.#tryNext(error?.replace(/^Error: /, "") ?? "connecting failed");
    }
  };

  #wasTooManyPings(subchannel: experimental.SubchannelInterface): boolean {
    const configuredMs = this.#options["grpc.keepalive_time_ms"];
    const nextMs = parseKeepaliveTimeMs(subchannel);
    return configuredMs !== undefined && nextMs !== undefined && nextMs > configuredMs;
  }

  #lost(message: string): void {
    this.#channel.updateState(connectivityState.TRANSIENT_FAILURE, refusing(message), message);
    this.#owner?.lost(new Error(message));
  }

  #release(): void {
    this.#subchannel?.removeConnectivityStateListener(this.#onChange);
    this.#subchannel?.unref();
    this.#subchannel = undefined;
  }
}

function picked(subchannel: experimental.SubchannelInterface): experimental.PickResult {
  return {
    pickResultType: experimental.PickResultType.COMPLETE,
    subchannel,
    status: null,
    onCallStarted: null,
    onCallEnded: null,
  };
}

function refusing(details: string): experimental.Picker {
  return new experimental.UnavailablePicker({ code: status.UNAVAILABLE, details, metadata: neverSent });
}

function fromOptions(options: ChannelOptions): ConnectionOwner | undefined {
  return options[ownerOption];
}
