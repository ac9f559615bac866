import { type Clock, type Logger, Scope, silentLogger, systemClock, type Watch, WatchSource } from "@weft/foundation";
import type { Listener, Transport } from "@weft/wire";
import { createAdsServer } from "@weft/xds";
import { MeshIndex } from "./index/mesh-index.js";
import { Publisher } from "./publish/publisher.js";
import { healthMethods } from "./serve/health.js";
import { type ControlPlaneReport, reportOf } from "./serve/report.js";
import type { Source } from "./source/source.js";
import { OutcomeBoard } from "./status/outcome-board.js";
import type { StatusSink } from "./status/status-sink.js";
import { translateService } from "./translate/translate.js";

export interface ControlPlaneOptions {
  readonly source: Source;
  readonly status: StatusSink;
  readonly transport: Transport;
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** How long changes that are not urgent are collected. Default 5 ms. */
  readonly settleMs?: number;
}

export type ControlPlaneState =
  | { readonly t: "listing"; readonly waitingFor: readonly string[] }
  | { readonly t: "serving"; readonly host: string; readonly port: number }
  | { readonly t: "stopped" };

/** Dispose: ends every stream, so that clients go elsewhere, and stops watching. */
export interface ControlPlane extends AsyncDisposable {
  readonly state: Watch<ControlPlaneState>;
  /** Rejects when it can't go on: the address is taken, or a fault. Never resolves. */
  readonly failed: Promise<never>;
  describe(): ControlPlaneReport;
  /** Takes no new stream and ends those that are open: clients have other replicas, and what they know. */
  drain(timeoutMs: number): Promise<void>;
}

/**
 * source → index → translate → publish → ADS, and outcomes back to the status of routes.
 * The port is not bound before everything has been listed once: nobody is told that what is not known yet does not exist.
 */
export function createControlPlane(options: ControlPlaneOptions): ControlPlane {
  const { source, status, transport, clock = systemClock, logger = silentLogger } = options;
  const index = new MeshIndex();
  const board = new OutcomeBoard();
  const state = new WatchSource<ControlPlaneState>({ t: "listing", waitingFor: [] });
  const serving = new WatchSource(false);
  const scope = new Scope();
  const synced = new WatchSource(false);
  let ads: ReturnType<typeof createAdsServer> | undefined;
  let listener: Listener | undefined;

  const publisher = new Publisher({
    clock,
    logger: logger.child({ component: "publisher" }),
    translate: (key) => translateService(index, key),
    version: () => source.version(),
    onTranslated: (service, translation) => {
      for (const key of board.put(service, translation.outcomes)) {
        const route = index.route(key);
        const outcomes = route && board.newsOf(route);
        if (route !== undefined && outcomes !== undefined) status.report(key, outcomes, route);
      }
    },
    ...(options.settleMs === undefined ? {} : { settleMs: options.settleMs }),
  });

  source.start({
    changed(changes) {
      const touched = changes.map((change) => index.apply(change));
      if (state.value.t === "listing") state.set({ t: "listing", waitingFor: source.waitingFor() });
      // No Service speaks for these; what was once said of them, perhaps by an earlier process, is taken back.
      for (const { kind, key, value } of changes) {
        if (kind !== "route") continue;
        if (value === undefined) status.forget(key);
        else if (value.parents.length === 0) status.report(key, [], value);
      }
      publisher.touch(
        touched.flatMap(({ services }) => [...services]),
        touched.some(({ urgent }) => urgent),
      );
    },
    synced: () => synced.set(true),
  });

  state.set({ t: "listing", waitingFor: source.waitingFor() });
  scope.spawn(async (signal) => {
    const identifier = await source.clusterId(signal);
    await synced.until((value) => value, signal);
    publisher.start();
    ads = createAdsServer({ snapshots: publisher, identifier, logger, clock });
    const methods = new Map([...ads.methods, ...healthMethods(serving, [adsService])]);
    listener = await transport.listen({
      host: options.host,
      port: options.port,
      methods,
      maxConcurrentStreams: 100,
      // A client that is silently gone is not shown as connected for long.
      keepalive: { timeMs: 30_000, timeoutMs: 20_000 },
    });
    logger.info("control plane serving", { host: listener.host, port: listener.port, version: publisher.version });
    serving.set(true);
    state.set({ t: "serving", host: listener.host, port: listener.port });
  });

  const drain = async (timeoutMs: number): Promise<void> => {
    serving.set(false);
    state.set({ t: "stopped" });
    const draining = listener?.drain(timeoutMs);
    await ads?.[Symbol.asyncDispose]();
    await draining;
  };

  let disposed: Promise<void> | undefined;
  const dispose = async (): Promise<void> => {
    await drain(0);
    await scope[Symbol.asyncDispose]();
    publisher[Symbol.dispose]();
    await listener?.[Symbol.asyncDispose]();
    await source[Symbol.asyncDispose]();
  };

  return {
    state,
    failed: scope.failed,
    describe: () => reportOf(publisher, ads?.describe() ?? []),
    drain,
    [Symbol.asyncDispose]: () => {
      disposed ??= dispose();
      return disposed;
    },
  };
}

const adsService = "envoy.service.discovery.v3.AggregatedDiscoveryService";
