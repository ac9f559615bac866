import { type Clock, systemClock } from "@weft/foundation";
import { ClientConnection } from "./client.js";
import type { ConnectionEnvironment } from "./connection/connection.js";
import { FlushQueue } from "./connection/flush-queue.js";
import type { ConnectionLimits } from "./connection/limits.js";
import { TimerWheel } from "./connection/timer-wheel.js";
import { BufferPool } from "./frame/buffer-pool.js";
import type { PlainHandler } from "./grpc/plain-call.js";
import { listenHttp2 } from "./server.js";
import type { Transport } from "./transport.js";

export interface Http2TransportOptions {
  /** Times deadlines, keepalive and all limits of time. */
  readonly clock?: Clock;
  /** What a peer may cost, where the defaults do not fit. */
  readonly limits?: Partial<ConnectionLimits>;
  /** Answers requests that are not gRPC's; without it they get HTTP status 415. */
  readonly plainHandler?: PlainHandler;
}

/** The transport of our own: gRPC over HTTP/2 straight on sockets and TLS. */
export function createHttp2Transport(options: Http2TransportOptions = {}): Transport {
  const clock = options.clock ?? systemClock;
  const environment: ConnectionEnvironment = {
    clock,
    wheel: new TimerWheel(clock),
    pool: new BufferPool(),
    flushQueue: new FlushQueue(),
  };
  const limits = options.limits ?? {};
  return {
    name: "http2",
    connect: (to) => new ClientConnection(to, environment, limits),
    listen: (on) => listenHttp2(on, environment, { limits, plainHandler: options.plainHandler }),
  };
}
