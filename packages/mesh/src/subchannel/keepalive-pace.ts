import type { Connection, ConnectOptions, Keepalive, Transport } from "@weft/wire";
import { TooManyPings } from "@weft/wire";

/** Makes connections to one server that ping it no more often than it lets them. */
export interface PacedConnector {
  connect(options: Omit<ConnectOptions, "keepalive">): Connection;
}

/** After each connection that the server ended because of too many pings, the next waits twice as long between them (gRFC A8). */
export function pacedConnector(transport: Transport, keepalive: Keepalive): PacedConnector {
  let pace = keepalive;
  return {
    connect(options) {
      const connection = transport.connect({ ...options, keepalive: pace });
      const subscription = connection.state.subscribe((state) => {
        if (state.t !== "draining" && state.t !== "closed") return;
        subscription[Symbol.dispose]();
        if (state.cause instanceof TooManyPings) pace = { ...pace, timeMs: 2 * pace.timeMs };
      });
      return connection;
    },
  };
}
