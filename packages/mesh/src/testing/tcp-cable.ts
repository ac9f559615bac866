import { connect, createServer, type Socket } from "node:net";

/** A stretch of TCP between a client and a server that a test can cut, as when a process or a machine dies. */
export interface TcpCable extends AsyncDisposable {
  readonly port: number;
  /** Resets every connection and takes no new one. */
  cut(): Promise<void>;
}

/** Lays a cable to a port on 127.0.0.1. */
export async function layCable(toPort: number): Promise<TcpCable> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect({ host: "127.0.0.1", port: toPort });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      // What matters is told by the closing.
      socket.on("error", () => {});
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen({ host: "127.0.0.1", port: 0 }, resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("cable: no address");
  let closed: Promise<void> | undefined;
  const cut = (): Promise<void> => {
    closed ??= new Promise((resolve) => server.close(() => resolve()));
    for (const socket of [...sockets]) socket.resetAndDestroy();
    return closed;
  };
  return { port: address.port, cut, [Symbol.asyncDispose]: cut };
}
