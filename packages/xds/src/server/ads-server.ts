import { type Clock, type Logger, silentLogger, systemClock, type Timer } from "@weft/foundation";
import { StatusCode, type StreamHandler } from "@weft/wire";
import { adsPath } from "../client/ads-client.js";
import { AdsStream } from "./ads-stream.js";
import type { ConnectedClient } from "./connected-client.js";
import type { SnapshotCache } from "./snapshot.js";

export interface AdsServerOptions {
  readonly snapshots: SnapshotCache;
  /** Sent as `control_plane.identifier`: equal for all whose versions can be compared. */
  readonly identifier: string;
  /** Default: says nothing. */
  readonly logger?: Logger;
  readonly clock?: Clock;
  /** How long after a rejection newer versions of what was rejected are tried. Default 5 s. */
  readonly retryRejectedMs?: number;
}

/** The server side of state-of-the-world ADS. Dispose: ends every stream UNAVAILABLE, so that clients go elsewhere. */
export interface AdsServer extends AsyncDisposable {
  /** To be listened with. */
  readonly methods: ReadonlyMap<string, StreamHandler>;
  /** The clients that are connected, in the order in which they came. */
  describe(): readonly ConnectedClient[];
}

/** Serves the snapshots of a cache to any number of streams. */
export function createAdsServer(options: AdsServerOptions): AdsServer {
  const { snapshots, identifier, logger = silentLogger, clock = systemClock, retryRejectedMs = 5_000 } = options;
  const streams = new Set<AdsStream>();
  const pumpAll = (): void => {
    for (const stream of [...streams]) stream.pump();
  };
  const watching = snapshots.watch(pumpAll);
  let retry: Timer | undefined;
  const retryLater = (): void => {
    retry ??= clock.after(retryRejectedMs, () => {
      retry = undefined;
      for (const stream of [...streams]) stream.retryRejected();
      if ([...streams].some((stream) => stream.hasRejected)) retryLater();
    });
  };

  const handler: StreamHandler = (stream) => {
    const session: AdsStream = new AdsStream({
      stream,
      snapshots,
      identifier,
      logger: logger.child({ component: "ads" }),
      onRejected: retryLater,
      onClose: () => streams.delete(session),
    });
    streams.add(session);
    return session;
  };

  return {
    methods: new Map([[adsPath, handler]]),
    describe: () => [...streams].map((stream) => stream.describe()).filter((client) => client !== undefined),
    async [Symbol.asyncDispose]() {
      watching[Symbol.dispose]();
      retry?.[Symbol.dispose]();
      retry = undefined;
      for (const stream of [...streams]) {
        stream.end({ code: StatusCode.unavailable, message: "ads: the control plane is stopping" });
      }
    },
  };
}
