import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock, Logger } from "@weft/foundation";
import type { Json, ResourceKind } from "../kinds/resource-kind.js";
import type { PodAccess } from "../pod-access.js";
import { type Action, isAllowed, refusalOf } from "./access.js";
import type { Aggregator } from "./aggregation/aggregator.js";
import { sendError, sendText } from "./answer.js";
import { aggregated, group, groupList, resourceList } from "./discovery.js";
import { evict } from "./eviction.js";
import type { Gatekeeper } from "./gatekeeper.js";
import type { KindRegistry } from "./kind-registry.js";
import type { Lister } from "./lister.js";
import type { ApiObjects } from "./objects.js";
import { openApiDocument, openApiIndex } from "./openapi.js";
import { createPortForwarder, sendLog } from "./pod-streams.js";
import { parsePath, type RequestPath, readBody } from "./request.js";
import { serveResource } from "./resources.js";
import { answerReview, issueToken } from "./reviews.js";
import { ApiError, badRequest, forbidden, methodNotAllowed, noSuchPath, statusOf } from "./status.js";
import type { ObjectStore } from "./store.js";
import type { BoundObjects, Tokens, User } from "./tokens.js";

export interface HandlerOptions {
  readonly store: ObjectStore;
  readonly kinds: KindRegistry;
  readonly objects: ApiObjects;
  readonly lister: Lister;
  readonly tokens: Tokens;
  readonly bound: BoundObjects;
  readonly gatekeeper: Gatekeeper;
  readonly podAccess: PodAccess;
  readonly aggregator: Aggregator;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Admit, find, allow, answer: the way of every request. */
export interface RequestHandler extends Disposable {
  handle(request: IncomingMessage, response: ServerResponse): void;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

type ResourcePath = Extract<RequestPath, { readonly t: "resource" }>;

/** What clients take for the version of Kubernetes: the one whose behaviour is followed. */
const version = { major: "1", minor: "37", gitVersion: "v1.37.0+weft-laptop", platform: "linux/amd64" };

export function createRequestHandler(options: HandlerOptions): RequestHandler {
  const { store, kinds, logger } = options;
  const forwarder = createPortForwarder(options.podAccess);

  const allow = (user: User, action: Action, path: RequestPath): void => {
    if (isAllowed(user, action, store, kinds)) return;
    const subject = path.t === "resource" ? { name: path.name, group: path.group, kind: path.plural } : {};
    throw forbidden(refusalOf(user, action), subject);
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const user = options.gatekeeper.admit(request);
    const url = urlOf(request);
    const path = parsePath(url.pathname);
    const onward = `${url.pathname}${url.search}`;
    if (path.t === "other") {
      allow(user, { t: "path", verb: (request.method ?? "GET").toLowerCase(), path: url.pathname }, path);
      // Discovery, which everybody may read, and nothing below it: what is no resource by our reading may be one by another server's.
      const [, group = "", version = ""] = /^\/apis\/([^/]+)\/([^/]+)\/?$/.exec(url.pathname) ?? [];
      if (options.aggregator.serves(group, version)) {
        return await options.aggregator.forward(request, response, { group, version, path: onward, user });
      }
      const found =
        request.method === "GET"
          ? documentOf(request.headers.accept ?? "", url.pathname, kinds, options.aggregator)
          : undefined;
      if (found === undefined) throw noSuchPath();
      return sendText(response, 200, found.text, found.type);
    }
    allow(user, actionOf(request, path, url.searchParams), path);
    const { kind, resource } = find(kinds, path);
    if (kind === undefined) {
      if (options.aggregator.serves(path.group, path.version)) {
        const { group, version } = path;
        return await options.aggregator.forward(request, response, { group, version, path: onward, user });
      }
      if (path.name !== "" || request.method !== "POST") throw noSuchPath();
      const context = { ...options, user };
      const review = answerReview(resource, await readBody(request), context);
      if (review === undefined) throw noSuchPath();
      return sendText(response, 201, JSON.stringify(review));
    }
    if (kind.kind === "Pod" && path.subresource === "log") {
      if (request.method !== "GET") throw methodNotAllowed();
      const pod = options.objects.get(kind, path.namespace, path.name);
      return sendLog({ response, pod, query: url.searchParams, access: options.podAccess, clock: options.clock });
    }
    if (kind.kind === "Pod" && path.subresource === "eviction") {
      if (request.method !== "POST") throw methodNotAllowed();
      const evicted = evict(path, await readBody(request), options);
      return sendText(response, 201, JSON.stringify(evicted));
    }
    if (kind.kind === "Pod" && path.subresource === "portforward") {
      throw badRequest("Upgrade request required: port-forward works over WebSocket (v4.channel.k8s.io)");
    }
    if (kind.kind === "ServiceAccount" && path.subresource === "token") {
      if (request.method !== "POST") throw methodNotAllowed();
      const account = options.objects.get(kind, path.namespace, path.name);
      const issued = issueToken(account, await readBody(request), { ...options, user });
      return sendText(response, 201, JSON.stringify(issued));
    }
    return serveResource({ request, response, path, query: url.searchParams, kind }, options);
  };

  const fail = (response: ServerResponse, error: unknown): void => {
    const known = toApiError(error);
    if (known.code === 500 && !(error instanceof ApiError)) logger.error("request failed", { error });
    if (response.headersSent) response.destroy();
    else sendError(response, known);
  };

  return {
    handle(request, response) {
      response.on("error", () => {
        // The client left: nothing to tell it.
      });
      answer(request, response).catch((error: unknown) => fail(response, error));
    },
    upgrade(request, socket, head) {
      socket.on("error", () => socket.destroy());
      try {
        const user = options.gatekeeper.admit(request);
        const url = urlOf(request);
        const path = parsePath(url.pathname);
        if (path.t === "other" || path.group !== "" || path.plural !== "pods" || path.subresource !== "portforward") {
          throw noSuchPath();
        }
        const { kind } = find(kinds, path);
        if (kind === undefined) throw noSuchPath();
        allow(user, { ...actionOf(request, path, url.searchParams), verb: "create" }, path);
        if ((request.headers.upgrade ?? "").toLowerCase() !== "websocket") {
          throw badRequest("port-forward works over WebSocket (v4.channel.k8s.io) only");
        }
        forwarder.forward(
          request,
          socket,
          head,
          options.objects.get(kind, path.namespace, path.name),
          url.searchParams,
        );
      } catch (error) {
        const known = toApiError(error);
        const body = JSON.stringify(statusOf(known));
        socket.end(
          `HTTP/1.1 ${known.code} ${known.reason}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
        );
      }
    },
    [Symbol.dispose]: () => forwarder[Symbol.dispose](),
  };
}

function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(500, "InternalError", "an error on the server has prevented the request from succeeding");
}

function urlOf(request: IncomingMessage): URL {
  try {
    return new URL(`https://api${request.url ?? "/"}`);
  } catch {
    throw badRequest("the address of the request can't be read");
  }
}

function find(
  kinds: KindRegistry,
  path: ResourcePath,
): { readonly kind: ResourceKind | undefined; readonly resource: string } {
  return { kind: kinds.find(path.group, path.version, path.plural), resource: `${path.group}/${path.plural}` };
}

function actionOf(request: IncomingMessage, path: ResourcePath, query: URLSearchParams): Action {
  const watch = query.get("watch") === "true" || query.get("watch") === "1";
  const verbs: Readonly<Record<string, string>> = {
    GET: path.name === "" ? (watch ? "watch" : "list") : "get",
    HEAD: "get",
    POST: "create",
    PUT: "update",
    PATCH: "patch",
    DELETE: path.name === "" ? "deletecollection" : "delete",
  };
  const verb = verbs[request.method ?? ""] ?? "";
  // A rule about one name allows to select that one alone; who creates names it in the body, whatever is selected.
  const selected = ["list", "watch", "deletecollection"].includes(verb)
    ? /^metadata\.name=([^,=]+)$/.exec(query.get("fieldSelector") ?? "")?.[1]
    : undefined;
  return {
    t: "resource",
    verb,
    group: path.group,
    resource: path.subresource === "" ? path.plural : `${path.plural}/${path.subresource}`,
    namespace: path.namespace,
    name: path.name || (selected ?? ""),
  };
}

/** Everything that is no object: discovery, OpenAPI, version, health. `undefined` when there is no such document. */
function documentOf(
  accept: string,
  path: string,
  kinds: KindRegistry,
  { versions: extensions }: Pick<Aggregator, "versions">,
): { readonly type: string; readonly text: string } | undefined {
  const [first = "", second, third, fourth = "", fifth = ""] = path.replace(/\/$/, "").split("/").slice(1);
  if (["healthz", "livez", "readyz"].includes(first)) return { type: "text/plain", text: "ok" };
  const known = first === "api" || first === "apis";
  // Who knows the aggregated form names it in the header.
  if (known && second === undefined && /g=apidiscovery\.k8s\.io;v=v2;/.test(accept)) {
    const type = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    return { type, text: JSON.stringify(aggregated(kinds, extensions, first === "api")) };
  }
  const json = ((): Json | undefined => {
    if (first === "version") return version;
    if (first === "openapi" && second === "v3") {
      if (third === undefined) return openApiIndex(kinds);
      return third === "api" ? openApiDocument(kinds, "", fourth) : openApiDocument(kinds, fourth, fifth);
    }
    if (first === "api") {
      if (second === undefined) return { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [] };
      return third === undefined ? resourceList(kinds, "", second) : undefined;
    }
    if (first !== "apis" || fourth !== "") return undefined;
    if (second === undefined) return groupList(kinds, extensions);
    return third === undefined ? group(kinds, extensions, second) : resourceList(kinds, second, third);
  })();
  return json === undefined ? undefined : { type: "application/json", text: JSON.stringify(json) };
}
