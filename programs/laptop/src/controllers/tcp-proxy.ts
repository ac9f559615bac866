import { connect, createServer, type Server, type Socket } from "node:net";

const listenHost = "127.0.0.1";
const connectTimeoutMs = 2_000;
/** How far a taken port may move. */
const portTries = 200;

/** A port of this machine that leads to whichever Pods are ready. */
export interface TcpProxy extends AsyncDisposable {
  readonly host: string;
  /** The port that was wanted, or the next free one. */
  readonly port: number;
  /** Refuses new connections from now on; those that are open stay. */
  stopAccepting(): Promise<void>;
}

/** Listens on `port` of 127.0.0.1, or the next free one, and connects each caller to one of `targets()`, in turn. */
export async function startTcpProxy(options: {
  readonly port: number;
  readonly targets: () => readonly { readonly host: string; readonly port: number }[];
}): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let turn = 0;
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (inbound) => {
    keep(inbound);
    const targets = options.targets();
    turn += 1;
    // Each ready Pod once, beginning with the next in turn: one that has just gone must fail no caller.
    const order = targets
      .map((_, index) => targets[(turn + index) % targets.length])
      .filter((target) => target !== undefined);
    dial(inbound, order);
  });

  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {
      // The peer sees its own side close; nobody else is concerned.
    });
  };

  const dial = (inbound: Socket, targets: readonly { readonly host: string; readonly port: number }[]): void => {
    const [target, ...others] = targets;
    if (target === undefined || inbound.destroyed) {
      inbound.destroy();
      return;
    }
    const outbound = connect({ ...target, allowHalfOpen: true, noDelay: true });
    keep(outbound);
    const timer = setTimeout(() => outbound.destroy(new Error("connect timeout")), connectTimeoutMs);
    let connected = false;
    outbound.once("connect", () => {
      connected = true;
      clearTimeout(timer);
      inbound.pipe(outbound);
      outbound.pipe(inbound);
    });
    outbound.once("close", () => {
      clearTimeout(timer);
      if (connected) inbound.destroy();
      else dial(inbound, others);
    });
    inbound.once("close", () => outbound.destroy());
  };

  const port = await listenFrom(server, options.port);
  let closed: Promise<void> | undefined;
  const stopAccepting = (): Promise<void> => {
    closed ??= new Promise((resolve) => server.close(() => resolve()));
    return Promise.resolve();
  };
  return {
    host: listenHost,
    port,
    stopAccepting,
    async [Symbol.asyncDispose]() {
      await stopAccepting();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function listenFrom(server: Server, first: number): Promise<number> {
  for (let port = first; port < first + portTries && port < 65_536; port++) {
    if (await listen(server, port)) return port;
  }
  throw new Error(`no free port from ${first} on`);
}

function listen(server: Server, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      server.off("listening", onListening);
      if ("code" in error && (error.code === "EADDRINUSE" || error.code === "EACCES")) resolve(false);
      else reject(error);
    };
    const onListening = (): void => {
      server.off("error", onError);
      resolve(true);
    };
    server.once("error", onError);
    server.once("listening", onListening);
    server.listen({ host: listenHost, port, exclusive: true });
  });
}
