import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { apiVersionOf, createKubeClient, type Kind, type KubeClient, type KubeObject, kinds, pathOf } from "@weft/kube";

const served: readonly Kind[] = [
  kinds.namespace,
  kinds.node,
  kinds.pod,
  kinds.service,
  kinds.endpointSlice,
  kinds.grpcRoute,
  kinds.referenceGrant,
  kinds.configMap,
  kinds.secret,
  kinds.lease,
  kinds.apiService,
];

/** What a test writes: identity and version are added. */
export interface MiniObject {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

/** As much of a Kubernetes API as the control plane uses, with the version checks of writes. */
export interface MiniKube extends AsyncDisposable {
  readonly client: KubeClient;
  /** Creates or replaces an object, as somebody else would. */
  put(kind: Kind, object: MiniObject): void;
  remove(kind: Kind, name: string, namespace?: string): void;
  get<T extends KubeObject>(kind: Kind<T>, name: string, namespace?: string): T | undefined;
  /** Ends every watch of a kind and refuses every list and watch, or no longer. */
  setBroken(kind: Kind, broken: boolean): void;
  /** How many status writes were asked for. */
  readonly statusWrites: number;
  /** Refuses every request, or no longer. */
  setAway(away: boolean): void;
  /** Another client of the same API: another process. Ends with the API. */
  connect(): KubeClient;
  /** Runs once, before the next write is judged: the place for a rival. */
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
  let isAway = false;

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
      if (broken.has(url.pathname)) return refuse(503, "ServiceUnavailable");
      if (url.searchParams.get("watch") === "true") {
        response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
        const watcher = { collection: url.pathname, response };
        watchers.add(watcher);
        response.on("close", () => watchers.delete(watcher));
        return;
      }
      const items = [...objects.values()].filter((each) => each.kind === kind).map(({ object }) => object);
      return send(200, { kind: `${kind.kind}List`, metadata: { resourceVersion: String(version) }, items });
    }
    const path = url.pathname.replace(/\/status$/, "");
    if (request.method === "GET") {
      const found = objects.get(path);
      return found === undefined ? refuse(404, "NotFound") : send(200, found.object);
    }
    const text = await textOf(request);
    const isStatus = path !== url.pathname;
    if (isStatus) statusWrites += 1;
    const action = rival;
    rival = undefined;
    action?.();
    const sent = parseObject(text);
    if (request.method === "POST") return create(url.pathname, sent, { send, refuse });
    const current = objects.get(path);
    if (current === undefined) return refuse(404, "NotFound");
    const sentVersion = sent.metadata?.["resourceVersion"];
    if (sentVersion !== undefined && sentVersion !== current.object.metadata["resourceVersion"])
      return refuse(409, "Conflict");
    if (request.method === "PATCH") return send(200, store(current.kind, merged(current.object, sent)));
    return send(200, store(current.kind, isStatus ? { ...current.object, status: sent["status"] } : whole(sent)));
  };

  const create = (
    pathname: string,
    sent: Sent,
    { send, refuse }: { send: (code: number, body: object) => void; refuse: (code: number, reason: string) => void },
  ): void => {
    const object = whole(sent);
    const kind = served.find((each) => pathOf(each, namespaceOf(object)) === pathname);
    if (kind === undefined) refuse(404, "NotFound");
    else if (objects.has(pathOf(kind, object.metadata))) refuse(409, "AlreadyExists");
    else send(201, store(kind, object));
  };

  const server = createServer((request, response) => {
    if (isAway) response.writeHead(503).end();
    else void respond(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const clients: KubeClient[] = [];
  const connect = (): KubeClient => {
    const client = createKubeClient({ server: `http://127.0.0.1:${port}` });
    clients.push(client);
    return client;
  };
  return {
    client: connect(),
    connect,
    setAway(away) {
      isAway = away;
    },
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
    setBroken(kind, isBroken) {
      const path = pathOf(kind, {});
      if (!isBroken) broken.delete(path);
      else {
        broken.add(path);
        for (const { collection, response } of watchers) if (collection === path) response.destroy();
      }
    },
    get statusWrites() {
      return statusWrites;
    },
    interfere(action) {
      rival = action;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) await client[Symbol.asyncDispose]();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Sent {
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly [field: string]: unknown;
}

function parseObject(text: string): Sent {
  return JSON.parse(text) as Sent;
}

function whole(sent: Sent): MiniObject {
  return { ...sent, metadata: { ...sent.metadata, name: String(sent.metadata?.["name"]) } };
}

function namespaceOf({ metadata }: MiniObject): { readonly namespace?: string } {
  return metadata.namespace === undefined ? {} : { namespace: metadata.namespace };
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}

/** RFC 7386, as deep as the patches here go: `metadata` and `spec` field by field. */
function merged(before: MiniObject, patch: Sent): MiniObject {
  const under = (name: string): object => ({ ...recordOf(before[name]), ...recordOf(patch[name]) });
  return { ...before, spec: under("spec"), metadata: { ...before.metadata, ...patch.metadata } };
}

function recordOf(value: unknown): object {
  return typeof value === "object" && value !== null ? value : {};
}
