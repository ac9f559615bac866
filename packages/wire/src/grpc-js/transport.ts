import { type Clock, systemClock } from "@weft/foundation";
import type { Transport } from "../transport.js";
import { GrpcJsConnection } from "./connection.js";
import { listenGrpcJs } from "./listener.js";
import { registerSingleConnectionPolicy } from "./single-connection-policy.js";

/** The transport on `@grpc/grpc-js`: the first one, and the yardstick for others. `clock` times connecting and draining. */
export function createGrpcJsTransport(options: { readonly clock?: Clock } = {}): Transport {
  const clock = options.clock ?? systemClock;
  registerSingleConnectionPolicy();
  return {
    name: "grpc-js",
    connect: (to) => new GrpcJsConnection(to, clock),
    listen: (on) => listenGrpcJs(on, clock),
  };
}
