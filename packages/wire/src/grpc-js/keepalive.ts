import type { ChannelOptions } from "@grpc/grpc-js";
import type { Keepalive } from "../transport.js";

/** The options of grpc-js, the same for both sides. Its client pings only while a call is open, unless told otherwise. */
export function keepaliveOptions(
  keepalive: Keepalive | undefined,
): Pick<ChannelOptions, "grpc.keepalive_time_ms" | "grpc.keepalive_timeout_ms"> {
  if (keepalive === undefined) return {};
  return { "grpc.keepalive_time_ms": keepalive.timeMs, "grpc.keepalive_timeout_ms": keepalive.timeoutMs };
}

/**
 * The time between pings that a subchannel of grpc-js would use next. It doubles when the server complains, and grpc-js tells that to nobody else:
 * its listeners hear of the lost connection one step before. `undefined` when it is not where this version has it.
 */
export function parseKeepaliveTimeMs(subchannel: unknown): number | undefined {
  let inner = subchannel;
  for (let depth = 0; depth < 4; depth += 1) {
    if (typeof inner !== "object" || inner === null) return undefined;
    if ("keepaliveTime" in inner) return typeof inner.keepaliveTime === "number" ? inner.keepaliveTime : undefined;
    inner = "child" in inner ? inner.child : undefined;
  }
  return undefined;
}
