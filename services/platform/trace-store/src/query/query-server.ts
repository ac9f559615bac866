import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Logger } from "@weft/foundation";
import type { Page } from "../page/load-page.js";
import type { createQueryApi, QueryAnswer } from "./query-api.js";

export interface QueryServerOptions {
  readonly page: Page;
  readonly api: ReturnType<typeof createQueryApi>;
  readonly logger: Logger;
}

/** One origin for the trace page (`/`, `/trace/<id>`) and for the API that it reads (`/api/…`). */
export function createQueryServer(options: QueryServerOptions): RequestListener {
  return (request, response) => {
    response.setHeader("x-content-type-options", "nosniff");
    response.setHeader("referrer-policy", "no-referrer");
    try {
      respond(request, response, options);
    } catch (error) {
      options.logger.error("query failed", { error });
      sendJson(request, response, 500, failure(500, "internal error"));
    }
  };
}

function respond(request: IncomingMessage, response: ServerResponse, { page, api }: QueryServerOptions): void {
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    sendJson(request, response, 405, failure(405, "only GET"));
    return;
  }
  const target = request.url ?? "/";
  if (!URL.canParse(target, "http://localhost")) {
    sendJson(request, response, 400, failure(400, "unreadable URL"));
    return;
  }
  const { pathname, searchParams } = new URL(target, "http://localhost");
  if (pathname === "/" || pathname === "/search" || /^\/trace\/[0-9a-fA-F]{1,32}$/.test(pathname))
    sendPage(request, response, page);
  else answerQuery(request, response, api(pathname, searchParams));
}

function answerQuery(request: IncomingMessage, response: ServerResponse, answer: QueryAnswer | undefined): void {
  if (answer === undefined) sendJson(request, response, 404, failure(404, "no such path"));
  else sendJson(request, response, answer.status, answer.body);
}

function sendPage(request: IncomingMessage, response: ServerResponse, page: Page): void {
  const zips = /\bgzip\b/.test(request.headers["accept-encoding"]?.toString() ?? "");
  const body = zips ? page.gzipped : page.html;
  response.writeHead(200, {
    "content-type": "text/html; charset=utf-8",
    "content-length": body.length,
    "content-security-policy": page.contentSecurityPolicy,
    "cache-control": "no-cache",
    vary: "accept-encoding",
    ...(zips ? { "content-encoding": "gzip" } : {}),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

function sendJson(request: IncomingMessage, response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(request.method === "HEAD" ? undefined : JSON.stringify(body));
}

function failure(code: number, msg: string): unknown {
  return { data: null, total: 0, limit: 0, offset: 0, errors: [{ code, msg }] };
}
