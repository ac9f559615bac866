import { mkdirSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type Clock, type Logger, Scope, silentLogger, systemClock } from "@weft/foundation";
import type { KubeServer } from "@weft/kube";
import { stringify } from "yaml";
import { builtInKinds } from "../kinds/built-in.js";
import type { PodAccess } from "../pod-access.js";
import { startAggregator } from "./aggregation/aggregator.js";
import { publishFrontProxy } from "./aggregation/front-proxy.js";
import { writeFileAtomically } from "./atomic-file.js";
import { frontProxyIdentity, serverIdentity } from "./certificates.js";
import { fromDefinition, serveCustomKinds } from "./custom-kinds.js";
import { startGarbageCollector, systemWrite } from "./garbage.js";
import { createGatekeeper } from "./gatekeeper.js";
import { KindRegistry } from "./kind-registry.js";
import { Lister } from "./lister.js";
import { ApiObjects } from "./objects.js";
import { readObjects, startPersistence } from "./persistence.js";
import { createRequestHandler } from "./request-handler.js";
import { ObjectStore } from "./store.js";
import { type BoundObjects, Tokens } from "./tokens.js";
import { openVersionSource } from "./version-source.js";

export interface LaptopApiOptions {
  /** Where objects, keys and the kubeconfig are kept; made 0700 when it is not there. */
  readonly directory: string;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0, which takes one that is free. */
  readonly port?: number;
  readonly podAccess: PodAccess;
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** How many changes watches can go back. Default 4096. */
  readonly historySize?: number;
}

/** The Kubernetes API of this laptop. */
export interface LaptopApi extends AsyncDisposable {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** The certificate that the server's descends from. PEM. */
  readonly ca: string;
  /** How an administrator reaches it: for `createKubeClient`. */
  readonly admin: KubeServer;
  /** The kubeconfig that was written (0600). */
  readonly kubeconfigFile: string;
  /** What is in it. */
  kubeconfig(): string;
  /** Writes what is not on disk yet. */
  flush(): void;
  /** Forgets the history, as compaction does: watches from before get 410. For tests of clients. */
  compact(): void;
}

/** Starts the API: objects are back as they were, under versions that go on. Throws when the address is taken. */
export async function createLaptopApi(options: LaptopApiOptions): Promise<LaptopApi> {
  const { directory, podAccess, host = "127.0.0.1", clock = systemClock } = options;
  const logger = (options.logger ?? silentLogger).child({ component: "api" });
  mkdirSync(directory, { recursive: true, mode: 0o700 });

  const kinds = new KindRegistry(builtInKinds);
  const store = new ObjectStore({
    versions: openVersionSource(join(directory, "resource-version")),
    historySize: options.historySize ?? 4_096,
  });
  const objectsFile = join(directory, "objects.json");
  restore(objectsFile, store, kinds, logger);
  const objects = new ApiObjects({ store, kinds, clock });
  const bound: BoundObjects = {
    serviceAccount: (namespace, name) => lookUp("serviceaccounts", namespace, name),
    pod: (namespace, name) => lookUp("pods", namespace, name),
    secret: (namespace, name) => lookUp("secrets", namespace, name),
  };
  const lookUp = (key: string, namespace: string, name: string) => {
    const kind = kinds.byKey(key);
    return kind === undefined ? undefined : store.get(kind, namespace, name);
  };
  const tokens = new Tokens({ directory, clock, bound });
  const addresses = [...new Set(["127.0.0.1", host])];
  const identity = await serverIdentity({ directory, addresses, nowMs: clock.wallMs() });
  const frontProxy = await frontProxyIdentity({ directory, nowMs: clock.wallMs() });

  const scope = new Scope();
  try {
    const persistence = startPersistence({ file: objectsFile, store, kinds, clock, logger });
    scope.defer(() => persistence[Symbol.dispose]());
    const custom = serveCustomKinds({
      store,
      kinds,
      now: () => `${new Date(clock.wallMs()).toISOString().slice(0, 19)}Z`,
    });
    scope.defer(() => custom[Symbol.dispose]());
    scope.use(startGarbageCollector({ store, kinds, objects, clock, logger, ca: identity.ca }));
    for (const name of ["default", "kube-system", "kube-public", "kube-node-lease"]) {
      const namespaces = kinds.byKey("namespaces");
      if (namespaces === undefined || store.get(namespaces, "", name) !== undefined) continue;
      objects.create(systemWrite(namespaces, ""), { metadata: { name } });
    }

    publishFrontProxy({ store, kinds, objects, clientCa: identity.ca, frontProxyCa: frontProxy.ca });
    const aggregator = scope.use(startAggregator({ store, kinds, frontProxy, clock, logger }));

    const server = createServer({ cert: identity.cert, key: identity.key, minVersion: "TLSv1.2" });
    const port = await listen(server, host, options.port ?? 0);
    const hosts = new Set(
      [host, "127.0.0.1", "localhost"].flatMap((name) => [`${name}:${port}`, ...(port === 443 ? [name] : [])]),
    );
    const gatekeeper = createGatekeeper({ tokens, hosts });
    const handler = createRequestHandler({
      store,
      kinds,
      objects,
      lister: new Lister(store),
      tokens,
      bound,
      gatekeeper,
      podAccess,
      aggregator,
      clock,
      logger,
    });
    serve(server, handler);
    scope.defer(async () => {
      handler[Symbol.dispose]();
      await close(server);
    });

    const url = `https://${host}:${port}`;
    const kubeconfig = kubeconfigOf(url, identity.ca, tokens.adminToken);
    const kubeconfigFile = join(directory, "kubeconfig");
    writeFileAtomically(kubeconfigFile, kubeconfig);
    logger.info("serving the Kubernetes API", { url });
    return {
      url,
      host,
      port,
      ca: identity.ca,
      admin: { server: url, ca: identity.ca, token: () => tokens.adminToken },
      kubeconfigFile,
      kubeconfig: () => kubeconfig,
      flush: () => persistence.flush(),
      compact: () => store.compact(),
      [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
    };
  } catch (error) {
    await scope[Symbol.asyncDispose]();
    throw error;
  }
}

/** Definitions first: what other objects are is known only with them. */
function restore(file: string, store: ObjectStore, kinds: KindRegistry, logger: Logger): void {
  const found = readObjects(file);
  const definitions = "customresourcedefinitions.apiextensions.k8s.io";
  for (const [key, object] of found) if (key === definitions) kinds.add(fromDefinition(object));
  for (const [key, object] of found) {
    const kind = kinds.byKey(key);
    if (kind === undefined) logger.warn("object left behind: its kind is served no longer", { kind: key });
    else store.restore(kind, object);
  }
}

function serve(server: Server, handler: ReturnType<typeof createRequestHandler>): void {
  server.on("request", (request, response) => handler.handle(request, response));
  server.on("upgrade", (request, socket, head) => handler.upgrade(request, socket, head));
  // A client that speaks no TLS or no HTTP gets the connection closed, no more.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  server.on("clientError", (_error, socket) => {
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
    else socket.destroy();
  });
  server.keepAliveTimeout = 90_000;
  server.headersTimeout = 30_000;
  server.requestTimeout = 60_000;
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      const address: string | AddressInfo | null = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

/** Watches never end by themselves: connections are cut, not waited for. */
function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function kubeconfigOf(url: string, ca: string, token: string): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "weft-laptop",
        cluster: { server: url, "certificate-authority-data": Buffer.from(ca).toString("base64") },
      },
    ],
    users: [{ name: "weft-laptop", user: { token } }],
    contexts: [{ name: "weft-laptop", context: { cluster: "weft-laptop", user: "weft-laptop", namespace: "default" } }],
    "current-context": "weft-laptop",
  });
}
