import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** A plain TCP server on a free port of loopback. Dispose cuts its connections. */
export interface TcpServer extends AsyncDisposable {
  readonly port: number;
  /** Connections accepted so far. */
  readonly accepted: number;
  /** Breaks every connection with a reset. */
  cut(): void;
}

/** Binds a server whose connections `serve` gets. */
export async function startTcpServer(serve: (socket: Socket) => void): Promise<TcpServer> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer((socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    serve(socket);
  });
  const port = await listenOnLoopback(server);
  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    port,
    get accepted() {
      return accepted;
    },
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}

/** Passes bytes on to a port of loopback, so that a test can break the connection in between. */
export function startTcpProxy(toPort: number): Promise<TcpServer> {
  return startTcpServer((near) => {
    const far = connect({ host: "127.0.0.1", port: toPort });
    far.on("error", () => near.destroy());
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
    near.pipe(far);
    far.pipe(near);
  });
}

/** A proxy that can fall silent. */
export interface FreezableProxy extends AsyncDisposable {
  readonly port: number;
  /** From now on nothing passes either way, and nothing is closed: as when the other machine, or the way to it, is gone. */
  freeze(): void;
}

/** Passes bytes on to a port of loopback until it is frozen. */
export async function startFreezableProxy(toPort: number): Promise<FreezableProxy> {
  let frozen = false;
  const far = new Set<Socket>();
  const server = await startTcpServer((near) => {
    const other = connect({ host: "127.0.0.1", port: toPort });
    far.add(other);
    other.on("error", () => {});
    other.on("close", () => far.delete(other));
    for (const [from, to] of [
      [near, other],
      [other, near],
    ] as const) {
      from.on("data", (bytes) => {
        if (!frozen) to.write(bytes);
      });
      from.on("close", () => {
        if (!frozen) to.destroy();
      });
    }
  });
  return {
    port: server.port,
    freeze() {
      frozen = true;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of far) socket.destroy();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** A port of loopback where nobody listens. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenOnLoopback(server);
  server.close();
  await once(server, "close");
  return port;
}

/** Sends bytes to a port and waits until the other side has closed or `waitMs` have passed. */
export async function sendBytes(port: number, bytes: Uint8Array, waitMs: number): Promise<void> {
  const socket = connect({ host: "127.0.0.1", port });
  socket.on("error", () => {});
  socket.resume();
  await once(socket, "connect");
  socket.write(bytes);
  await Promise.race([once(socket, "close"), new Promise((resolve) => setTimeout(resolve, waitMs))]);
  socket.destroy();
}

/** Binds any kind of server to a free port of loopback. */
export async function listenOnLoopback(server: Pick<Server, "listen" | "address">): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen({ host: "127.0.0.1", port: 0 }, () => resolve());
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("bound to no port");
  return address.port;
}
