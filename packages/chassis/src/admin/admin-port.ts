import type { Readiness } from "../readiness.js";
import { type HttpListener, json, listenHttp, notFound } from "./http-listener.js";

/** What the admin port shows. */
export interface AdminOptions {
  readonly host: string;
  readonly port: number;
  readonly readiness: Readiness;
  metricsText(): Promise<string>;
}

/** Opens the port of probes and metrics: `/livez`, `/readyz` (503 with reasons) and `/metrics`, nothing else. */
export function openAdminPort(options: AdminOptions): Promise<HttpListener> {
  return listenHttp({ t: "tcp", host: options.host, port: options.port }, async ({ method, url }) => {
    if (method !== "GET" && method !== "HEAD") return { status: 405, body: json({ error: "only GET" }) };
    switch (url.pathname) {
      case "/livez":
        return { status: 200, body: json({ live: true }) };
      case "/readyz": {
        const reasons = options.readiness.state.value;
        return reasons.length === 0
          ? { status: 200, body: json({ ready: true }) }
          : { status: 503, body: json({ ready: false, reasons }) };
      }
      case "/metrics":
        return {
          status: 200,
          contentType: "text/plain; version=0.0.4; charset=utf-8",
          body: await options.metricsText(),
        };
      default:
        return notFound;
    }
  });
}
