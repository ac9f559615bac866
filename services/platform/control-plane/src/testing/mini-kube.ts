import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { apiVersionOf, createKubeClient, type Kind, type KubeClient, type KubeObject, kinds, pathOf } from "@weft/kube";

const served: readonly Kind[] = [
  kinds.namespace,
  kinds.node,
  kinds.service,
  kinds.endpointSlice,
  kinds.grpcRoute,
  kinds.referenceGrant,
];

/** What a test writes: identity and version are added. */
export interface MiniObject {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

/** As much of a Kubernetes API as the control plane uses: get, list, watch, and status with its version check. */
export interface MiniKube extends AsyncDisposable {
  readonly client: KubeClient;
  /** Creates or replaces an object, as somebody else would. */
  put(kind: Kind, object: MiniObject): void;
  remove(kind: Kind, name: string, namespace?: string): void;
  get<T extends KubeObject>(kind: Kind<T>, name: string, namespace?: string): T | undefined;
  /** Refuses every list of a kind, or no longer. */
  setBroken(kind: Kind, broken: boolean): void;
  /** How many status writes were asked for. */
  readonly statusWrites: number;
  /** Runs once, before the next status write is judged: the place for a rival. */
  interfere(action: () => void): void;
}

interface Stored {
  readonly path: string;
  readonly kind: Kind;
  readonly object: MiniObject;
}

export async function startMiniKube(): Promise<MiniKube> {
  const objects = new Map<string, Stored>();
  const watchers = new Set<{ readonly collection: string; readonly response: ServerResponse }>();
  const broken = new Set<string>();
  let version = 1_000;
  let statusWrites = 0;
  let rival: (() => void) | undefined;

  const tell = (kind: Kind, type: string, object: MiniObject): void => {
    const line = `${JSON.stringify({ type, object })}\n`;
    for (const { collection, response } of watchers) if (collection === pathOf(kind, {})) response.write(line);
  };
  const store = (kind: Kind, object: MiniObject): MiniObject => {
    version += 1;
    const path = pathOf(kind, object.metadata);
    const metadata = { generation: 1, ...object.metadata, resourceVersion: String(version) };
    const stored = { ...object, apiVersion: apiVersionOf(kind), kind: kind.kind, metadata };
    const type = objects.has(path) ? "MODIFIED" : "ADDED";
    objects.set(path, { path, kind, object: stored });
    tell(kind, type, stored);
    return stored;
  };

  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? "/", "http://mini");
    const send = (code: number, body: object): void => {
      response.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
    const refuse = (code: number, reason: string): void =>
      send(code, { kind: "Status", code, reason, message: reason });
    const kind = served.find((each) => pathOf(each, {}) === url.pathname);
    if (request.method === "GET" && kind !== undefined) {
      if (url.searchParams.get("watch") === "true") {
        response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
        const watcher = { collection: url.pathname, response };
        watchers.add(watcher);
        response.on("close", () => watchers.delete(watcher));
        return;
      }
      if (broken.has(url.pathname)) return refuse(503, "ServiceUnavailable");
      const items = [...objects.values()].filter((each) => each.kind === kind).map(({ object }) => object);
      return send(200, { kind: `${kind.kind}List`, metadata: { resourceVersion: String(version) }, items });
    }
    const path = url.pathname.replace(/\/status$/, "");
    const found = objects.get(path);
    if (found === undefined) return refuse(404, "NotFound");
    if (request.method === "GET") return send(200, found.object);
    if (request.method !== "PUT" || path === url.pathname) return refuse(405, "MethodNotAllowed");
    let text = "";
    for await (const chunk of request) text += String(chunk);
    statusWrites += 1;
    const action = rival;
    rival = undefined;
    action?.();
    const current = objects.get(path)?.object;
    const sent = parseObject(text);
    if (current === undefined) return refuse(404, "NotFound");
    if (sent.metadata["resourceVersion"] !== current.metadata["resourceVersion"]) return refuse(409, "Conflict");
    return send(200, store(found.kind, { ...current, status: sent["status"] }));
  };

  const server = createServer((request, response) => void respond(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const client = createKubeClient({ server: `http://127.0.0.1:${port}` });
  return {
    client,
    put: (kind, object) => void store(kind, object),
    remove(kind, name, namespace) {
      const path = pathOf(kind, namespace === undefined ? { name } : { name, namespace });
      const found = objects.get(path);
      if (found === undefined) return;
      objects.delete(path);
      version += 1;
      const metadata = { ...found.object.metadata, resourceVersion: String(version) };
      tell(kind, "DELETED", { ...found.object, metadata });
    },
    get(kind, name, namespace) {
      const found = objects.get(pathOf(kind, namespace === undefined ? { name } : { name, namespace }));
      const read = found && kind.parse(found.object);
      return read?.ok === true ? read.value : undefined;
    },
    setBroken: (kind, isBroken) => void (isBroken ? broken.add(pathOf(kind, {})) : broken.delete(pathOf(kind, {}))),
    get statusWrites() {
      return statusWrites;
    },
    interfere(action) {
      rival = action;
    },
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function parseObject(text: string): MiniObject {
  return JSON.parse(text) as MiniObject;
}
