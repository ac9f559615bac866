import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { type Agent, request as httpsRequest, type RequestOptions } from "node:https";
import type { User } from "../tokens.js";
import type { Address } from "./backend.js";
import { frontProxyHeaders } from "./front-proxy.js";

/** A server to ask on somebody's behalf. */
export interface Forwarding {
  readonly agent: Agent;
  readonly address: Address;
  readonly serverName: string;
}

/** RFC 9110 §7.6.1: headers of one connection; and what only this API may say or see. */
const notForwarded =
  /^(connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|host|authorization|impersonate-.*|x-remote-.*)$/;

/** Headers that say who is asking. Values are what HTTP can carry; keys of `extra` are percent-encoded. */
export function userHeaders(user: User): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {
    [frontProxyHeaders.username]: user.username,
    [frontProxyHeaders.group]: [...user.groups],
  };
  if (user.uid !== "") headers[frontProxyHeaders.uid] = user.uid;
  for (const [key, values] of Object.entries(user.extra))
    headers[`${frontProxyHeaders.extraPrefix}${encodeURIComponent(key)}`] = [...values];
  return headers;
}

/**
 * Sends a request on as its caller's, and the answer back as it comes. Rejects only before the answer has begun.
 * `path` is what was judged: what the request itself says could be read in another way by the server.
 */
export async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  asked: { readonly path: string; readonly user: User },
  to: Forwarding,
): Promise<void> {
  const { path, user } = asked;
  const headers: OutgoingHttpHeaders = { host: to.serverName };
  for (const [name, value] of Object.entries(request.headers)) if (!notForwarded.test(name)) headers[name] = value;
  const { method } = request;
  // Node sends the body of a GET or DELETE without any length unless told: the server would read it as a request of its own, as ours.
  const isChunked = request.headers["transfer-encoding"] !== undefined;
  if (isChunked) headers["transfer-encoding"] = "chunked";
  const hasBody = isChunked || Number(request.headers["content-length"] ?? 0) > 0;
  const send = (): ClientRequest =>
    httpsRequest({
      ...addressed(to),
      method,
      path,
      headers: { ...headers, ...userHeaders(user) },
    });
  const first = send();
  try {
    return await relay(request, response, first);
  } catch (error) {
    // A kept connection that the server has just closed says nothing of the server; without a body the request is still whole.
    if (!first.reusedSocket || method !== "GET" || hasBody) throw error;
    return await relay(request, response, send());
  }
}

function addressed({ agent, address }: Forwarding): RequestOptions {
  return { agent, host: address.host, port: address.port, setHost: false };
}

function relay(request: IncomingMessage, response: ServerResponse, onward: ClientRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    // Who has left wants no answer.
    response.once("close", () => onward.destroy());
    onward.once("response", (answer) => {
      const kept = Object.entries(answer.headers).filter(([name]) => !notForwarded.test(name));
      response.writeHead(answer.statusCode ?? 502, Object.fromEntries(kept));
      answer.once("error", () => response.destroy());
      answer.once("close", resolve);
      answer.pipe(response);
    });
    onward.once("error", (error) => {
      if (response.headersSent) resolve(void response.destroy());
      else reject(error);
    });
    request.pipe(onward);
  });
}

/** Asks for one document as the API itself. Rejects when there is no answer in time, or not the right one. */
export function ask(path: string, timeoutMs: number, to: Forwarding): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const aggregator: User = { username: "system:kube-aggregator", uid: "", groups: ["system:masters"], extra: {} };
    const onward = httpsRequest(
      {
        ...addressed(to),
        path,
        headers: { host: to.serverName, accept: "application/json", ...userHeaders(aggregator) },
        signal: AbortSignal.timeout(timeoutMs),
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => void chunks.push(chunk));
        answer.once("error", reject);
        answer.once("end", () => {
          const code = answer.statusCode ?? 0;
          if (code < 200 || code > 299) return reject(new Error(`bad status ${code}`));
          try {
            resolve(JSON.parse(Buffer.concat(chunks).toString("utf8")));
          } catch {
            reject(new Error("the answer is not JSON"));
          }
        });
      },
    );
    onward.once("error", reject);
    onward.end();
  });
}
