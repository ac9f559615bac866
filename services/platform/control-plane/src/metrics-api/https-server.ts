import { constants } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import { TLSSocket } from "node:tls";
import type { KeyPair } from "@weft/foundation/certificates";
import { type Answer, refusal } from "./answer.js";
import { admit, type FrontProxyTrust, sameTrust } from "./front-proxy.js";

/** What the server stands on. Both change while it runs. */
export interface ServingTerms {
  readonly identity: KeyPair;
  readonly trust: FrontProxyTrust;
}

/** HTTPS for the API server alone. Dispose: closes it and every connection. */
export interface MetricsServer extends AsyncDisposable {
  readonly port: number;
  /** A new certificate holds for new connections; with a new trust the old connections end. */
  use(terms: ServingTerms): void;
}

/**
 * Binds the address. Everybody may connect, so that a refusal can be said; nobody is answered who is not admitted.
 * Rejects with the system's error when it can't bind.
 */
export async function listenMetrics(
  address: { readonly host: string; readonly port: number },
  first: ServingTerms,
  respond: (request: { readonly method: string; readonly url: string }) => Answer,
): Promise<MetricsServer> {
  let terms = first;
  const replyTo = (request: IncomingMessage): Answer => {
    const admission = admit(callerOf(request), terms.trust);
    const { method = "GET", url = "/" } = request;
    switch (admission.t) {
      case "admitted":
        return respond({ method, url });
      case "unknown":
        return refusal(401, "Unauthorized", admission.message);
      case "forbidden":
        return refusal(403, "Forbidden", admission.message);
    }
  };
  const server = createServer(
    {
      ...contextOf(first),
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: 5_000,
      maxHeaderSize: 16_384,
    },
    (request, response) => send(response, replyTo(request)),
  );
  server.requestTimeout = 10_000;
  server.headersTimeout = 10_000;
  server.keepAliveTimeout = 90_000;
  server.maxConnections = 256;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(address.port, address.host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const bound = server.address();
  let closed: Promise<void> | undefined;
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : 0,
    use(next) {
      const isOtherTrust = !sameTrust(terms.trust, next.trust);
      terms = next;
      server.setSecureContext(contextOf(next));
      if (isOtherTrust) server.closeAllConnections();
    },
    [Symbol.asyncDispose]() {
      closed ??= new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      return closed;
    },
  };
}

/** No tickets: a resumed session would carry on a verdict that was made under another trust. */
function contextOf({ identity, trust }: ServingTerms): object {
  return {
    cert: identity.cert,
    key: identity.key,
    ca: trust.ca,
    minVersion: "TLSv1.2",
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

function callerOf(request: IncomingMessage): Parameters<typeof admit>[0] {
  const { socket, headers } = request;
  if (!(socket instanceof TLSSocket) || !socket.authorized) return { verified: false, commonName: undefined, headers };
  const name: unknown = socket.getPeerCertificate().subject?.CN;
  return { verified: true, commonName: typeof name === "string" ? name : undefined, headers };
}

function send(response: ServerResponse, { code, body }: Answer): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(code, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    // Who is not the API server keeps no connection: there are so many, and it needs one.
    ...(code === 401 ? { connection: "close" } : {}),
  });
  response.end(text);
}
