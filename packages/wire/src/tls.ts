import { connect, createServer, type Server, type TLSSocket } from "node:tls";
import type { ClientTls, ServerTls } from "./transport.js";

/** The name of HTTP/2 over TLS in ALPN (RFC 9113 §3.2). */
const alpnProtocol = "h2";
/** First byte of a TLS connection: the content type of a handshake record (RFC 8446 §5.1). No preface of HTTP/2 begins so. */
export const tlsFirstByte = 0x16;

/** Starts TLS as a client. The socket tells `secureConnect` when the server has proved its name and speaks HTTP/2. */
export function connectTls(options: {
  readonly host: string;
  readonly port: number;
  readonly tls: ClientTls;
}): TLSSocket {
  const { host, port, tls } = options;
  const socket = connect({
    host,
    port,
    servername: tls.serverName,
    ALPNProtocols: [alpnProtocol],
    minVersion: "TLSv1.2",
    ...(tls.roots === undefined ? {} : { ca: tls.roots }),
    ...(tls.certificate === undefined ? {} : { cert: tls.certificate }),
    ...(tls.privateKey === undefined ? {} : { key: tls.privateKey }),
  });
  socket.setNoDelay(true);
  return socket;
}

/** Whether the handshake agreed on HTTP/2. */
export function speaksHttp2(socket: TLSSocket): boolean {
  return socket.alpnProtocol === alpnProtocol;
}

/**
 * The TLS half of a server. It listens on nothing: connections are given to it with `emit("connection", socket)`, as Node's documentation has it, also ones whose
 * first bytes were read and put back.
 */
export function createTlsServer(
  tls: ServerTls,
  options: { readonly handshakeTimeoutMs: number; readonly secured: (socket: TLSSocket) => void },
): Server {
  const asks = tls.clientRoots !== undefined;
  const server = createServer({
    cert: tls.certificate,
    key: tls.privateKey,
    minVersion: "TLSv1.2",
    ALPNProtocols: [alpnProtocol],
    handshakeTimeout: options.handshakeTimeoutMs,
    requestCert: asks,
    rejectUnauthorized: asks,
    ...(tls.clientRoots === undefined ? {} : { ca: tls.clientRoots }),
  });
  server.on("secureConnection", options.secured);
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return server;
}
