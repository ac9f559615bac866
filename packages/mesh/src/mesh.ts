import { lookup as systemLookup } from "node:dns/promises";
import { isIP } from "node:net";
import { create } from "@bufbuild/protobuf";
import type { Transport as ConnectTransport, Interceptor } from "@connectrpc/connect";
import { NodeSchema } from "@weft/contracts/envoy/config/core/v3";
import {
  type BackoffPolicy,
  type Clock,
  connectionBackoff,
  createBackoff,
  type Logger,
  Scope,
  silentLogger,
  systemClock,
  type Watch,
  WatchSource,
} from "@weft/foundation";
import type { Keepalive, Transport } from "@weft/wire";
import { type AdsClient, createAdsClient } from "@weft/xds";
import { type CallLimits, defaultCallLimits } from "./call/call.js";
import { createRetryBudget } from "./call/retry-budget.js";
import { connectControlPlane } from "./control-plane.js";
import { describeMesh, type MeshDescription } from "./describe.js";
import { adsSource, type ConfigSource } from "./resolver/config-source.js";
import type { Lookup } from "./resolver/dns-cluster.js";
import { Resolver } from "./resolver/resolver.js";
import type { MeshServer } from "./server/mesh-server.js";
import type { Routes } from "./server/router.js";
import { type ServeOptions, serve } from "./server/serve.js";
import { keepSaved } from "./snapshot/keep-saved.js";
import type { Snapshot } from "./snapshot/snapshot.js";
import { openSnapshotStore } from "./snapshot/store.js";
import { addressText, SubchannelPool } from "./subchannel/pool.js";
import { parseTarget } from "./target.js";
import { createTelemetry, type Telemetry } from "./telemetry/telemetry.js";
import { createConnectTransport } from "./transport/connect-transport.js";
import type { TargetEnvironment } from "./transport/start-call.js";

export interface MeshOptions {
  readonly transport: Transport;
  /** Addresses of the control plane, `host:port`, several divided by commas. Without one only `dns:///` targets resolve. */
  readonly controlPlane?: string;
  readonly node: MeshNode;
  /** Folder for what the control plane said last; nothing is kept when absent. */
  readonly snapshotDir?: string;
  /** Resources from elsewhere than a control plane, for tests. */
  readonly source?: ConfigSource;
  readonly clock?: Clock;
  /** Gives numbers in [0, 1). */
  readonly random?: () => number;
  readonly logger?: Logger;
  readonly telemetry?: Telemetry;
  readonly lookup?: Lookup;
  readonly limits?: Partial<CallLimits>;
  /**
   * Pings to endpoints and to the control plane while a stream is open: who is frozen or cut off without a word is left for another within their sum.
   * Default 10 s and 10 s; doubled for a server that complains. Targets outside the mesh are not pinged.
   */
  readonly keepalive?: Keepalive;
}

/** Who this process is to the control plane. */
export interface MeshNode {
  /** `<pod>.<namespace>` */
  readonly id: string;
  /** Where targets without a namespace are looked for, and whose consumer routes apply. */
  readonly namespace: string;
  readonly zone?: string;
}

export interface TargetOptions {
  /** Connect interceptors, the first one outermost. */
  readonly interceptors?: readonly Interceptor[];
  /** For calls that name no timeout. Default: none. */
  readonly defaultTimeoutMs?: number;
}

export type MeshState =
  | { readonly t: "ready" }
  /** A target has not been resolved yet, or no control plane has answered for a server; each reason names what is missing. */
  | { readonly t: "not ready"; readonly reasons: readonly string[] };

/** The data plane of one process. Dispose: servers drain at once, calls in flight end UNAVAILABLE, connections close. */
export interface Mesh extends AsyncDisposable {
  /**
   * A Connect Transport to `service[.namespace][:port]` or to `dns:///host:port`. The target is resolved from now on, and connected to
   * before the first call. Throws a TypeError for a name that is none of these.
   */
  to(target: string, options?: TargetOptions): ConnectTransport;
  /** Serves Connect handlers; see {@link serve}. */
  serve(routes: Routes, options: Omit<ServeOptions, "transport" | "clock" | "telemetry">): Promise<MeshServer>;
  /** Ready once every target has routes, or an answer that says why it has none, and the control plane knows the servers. */
  readonly state: Watch<MeshState>;
  /** What the mesh believes, as JSON, for `/config`. */
  describe(): MeshDescription;
}

const resolveWithSystem: Lookup = async (host) => {
  const addresses = await systemLookup(host, { all: true });
  return addresses.map(({ address }) => address);
};

/** Waits for a control plane that is away. A short cap: new Pods stand unready until it is found again. */
const controlPlaneBackoff: BackoffPolicy = { ...connectionBackoff, initialMs: 500, maxMs: 5_000 };

/** Starts the mesh. Resolves before the control plane has answered: calls wait for it, and {@link Mesh.state} tells. */
export async function createMesh(options: MeshOptions): Promise<Mesh> {
  const { clock = systemClock, random = Math.random, logger = silentLogger } = options;
  const lookup: Lookup = async (host) =>
    isIP(host) === 0 ? await (options.lookup ?? resolveWithSystem)(host) : [host];
  const log = logger.child({ component: "mesh" });
  // Said at every start until identity exists, so that nobody takes the wire for encrypted.
  log.info("mTLS is DISABLED: calls inside the mesh are plaintext", { mtls: "DISABLED" });
  const scope = new Scope();
  const pool = scope.use(new SubchannelPool({ ...options, clock, random }));
  const store = options.snapshotDir === undefined ? undefined : await openSnapshotStore(options.snapshotDir, log);
  const saved = await store?.load();
  let ads: AdsClient | undefined;
  if (options.controlPlane !== undefined) {
    ads = createAdsClient({
      connect: connectControlPlane({ ...options, addresses: options.controlPlane, lookup, random }),
      node: nodeOf(options.node),
      clock,
      backoff: createBackoff(controlPlaneBackoff, random),
      logger,
      ...(saved === undefined ? {} : { saved }),
    });
    scope.use(ads);
  }
  const source = options.source ?? (ads === undefined ? undefined : adsSource(ads));
  const resolver = new Resolver({ source, pool, lookup, clock, random, logger: log });
  scope.defer(() => resolver[Symbol.dispose]());
  // Ends before the resolver does: what that gives up at the end is not to be forgotten.
  if (ads !== undefined && store !== undefined) {
    scope.use(keepSaved({ accepted: ads.accepted, store, clock, logger: log }));
  }
  return new RunningMesh({ options, scope, resolver, ads, clock, random, logger });
}

function nodeOf(node: MeshNode) {
  return create(NodeSchema, {
    id: node.id,
    metadata: { NAMESPACE: node.namespace },
    locality: { zone: node.zone ?? "" },
    userAgentName: "weft",
    userAgentVersionType: { case: "userAgentVersion", value: "0.1.0" },
  });
}

/** The name under which a control plane has a server's listener (gRFC A36). */
function serverListenerName(address: { readonly host: string; readonly port: number }): string {
  return `grpc/server?xds.resource.listening_address=${addressText(address)}`;
}

class RunningMesh implements Mesh {
  readonly #options: MeshOptions;
  readonly #scope: Scope;
  readonly #resolver: Resolver;
  readonly #ads: AdsClient | undefined;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #logger: Logger;
  readonly #telemetry: Telemetry;
  readonly #state = new WatchSource<MeshState>({ t: "ready" });
  readonly #environments = new Map<string, TargetEnvironment>();

  constructor(parts: {
    readonly options: MeshOptions;
    readonly scope: Scope;
    readonly resolver: Resolver;
    readonly ads: AdsClient | undefined;
    readonly clock: Clock;
    readonly random: () => number;
    readonly logger: Logger;
  }) {
    this.#options = parts.options;
    this.#scope = parts.scope;
    this.#resolver = parts.resolver;
    this.#ads = parts.ads;
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#logger = parts.logger;
    this.#telemetry = parts.options.telemetry ?? createTelemetry({ clock: parts.clock });
    this.#resolver.snapshot.subscribe((snapshot) => this.#onSnapshot(snapshot));
  }

  get state(): Watch<MeshState> {
    return this.#state;
  }

  to(target: string, options: TargetOptions = {}): ConnectTransport {
    const result = parseTarget(target, this.#options.node.namespace);
    if (!result.ok) throw new TypeError(result.error);
    const { value } = result;
    this.#resolver.add(value);
    const shared = this.#environments.get(value.key) ?? {
      target: value.key,
      host: value.host,
      port: value.port,
      snapshot: this.#resolver.snapshot,
      clock: this.#clock,
      random: this.#random,
      budget: createRetryBudget({ clock: this.#clock }),
      limits: { ...defaultCallLimits, ...this.#options.limits },
      telemetry: this.#telemetry,
      defaultTimeoutMs: undefined,
    };
    this.#environments.set(value.key, shared);
    const env =
      options.defaultTimeoutMs === undefined ? shared : { ...shared, defaultTimeoutMs: options.defaultTimeoutMs };
    return createConnectTransport(env, options.interceptors ?? []);
  }

  async serve(routes: Routes, options: Omit<ServeOptions, "transport" | "clock" | "telemetry">): Promise<MeshServer> {
    const { transport } = this.#options;
    // Before anything listens: a new process is not ready until a control plane has answered for it.
    if (options.port !== 0) this.#resolver.addServer(serverListenerName(options));
    const server = await serve(routes, {
      logger: this.#logger,
      ...options,
      transport,
      clock: this.#clock,
      telemetry: this.#telemetry,
    });
    this.#resolver.addServer(serverListenerName(options.port === 0 ? server : options));
    return this.#scope.use(server);
  }

  describe(): MeshDescription {
    return describeMesh({
      controlPlane: this.#options.controlPlane,
      ads: this.#ads,
      targets: this.#resolver.reports(),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope[Symbol.asyncDispose]();
  }

  #onSnapshot(snapshot: Snapshot): void {
    const reasons = [...snapshot.serverReasons];
    for (const [name, view] of snapshot.targets) {
      if (view.t === "pending") reasons.push(`target ${JSON.stringify(name)} waits for ${view.missing}`);
    }
    const before = this.#state.value;
    if (reasons.length === 0) {
      if (before.t !== "ready") this.#state.set({ t: "ready" });
    } else if (before.t === "ready" || before.reasons.join() !== reasons.join()) {
      this.#state.set({ t: "not ready", reasons });
    }
  }
}
