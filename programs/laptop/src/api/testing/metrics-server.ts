import type { IncomingMessage } from "node:http";
import { createServer, type Server } from "node:https";
import type { TLSSocket } from "node:tls";
import { createServerIdentity } from "@weft/foundation/certificates";
import { type KubeClient, kinds } from "@weft/kube";

const yearMs = 365 * 24 * 60 * 60 * 1_000;
const group = "custom.metrics.k8s.io";
const namespace = "default";

/** Where the server answers, below the API. */
export const metricsPath = `/apis/${group}/v1beta2`;

/** The APIService that leads to it. */
export const metricsApi = `v1beta2.${group}`;

/** A request as it arrived. */
export interface SeenRequest {
  readonly url: string | undefined;
  readonly headers: IncomingMessage["headers"];
  /** The common name of the client's certificate. */
  readonly peer: string;
}

/** A server of the metrics API that takes the API's own certificate alone, behind Service `metrics`. */
export interface MetricsServer extends AsyncDisposable {
  readonly ca: string;
  readonly seen: readonly SeenRequest[];
  readonly server: Server;
  readonly port: number;
  /** Registers it with the API, with the root of its certificate or another. */
  register(ca: string | undefined): Promise<void>;
}

type Answer = (
  url: string,
  request: IncomingMessage,
  body: string,
) => { readonly code?: number; readonly json: unknown };

export async function startMetricsServer(
  client: KubeClient,
  options: {
    /** The name in its certificate. Default: that of its Service. */
    readonly dnsName?: string;
    /** What it says of a Pod's metric, by path; default: what was asked. */
    readonly answer?: Answer;
  } = {},
): Promise<MetricsServer> {
  const identity = await createServerIdentity({
    commonName: "metrics",
    authorityName: "metrics root",
    dnsNames: [options.dnsName ?? "metrics.default.svc"],
    lifetimeMs: yearMs,
    nowMs: Date.now(),
  });
  const ref = { namespace: "kube-system", name: "extension-apiserver-authentication" };
  const auth = await client.get(kinds.configMap, ref);
  const seen: SeenRequest[] = [];
  const tls = {
    cert: identity.cert,
    key: identity.key,
    ca: auth.data?.["requestheader-client-ca-file"] ?? "",
    requestCert: true,
    rejectUnauthorized: true,
  };
  const answer: Answer = options.answer ?? ((url, { method }, body) => ({ json: { answered: url, method, body } }));
  const server = createServer(tls, (request, response) => {
    const { url = "" } = request;
    const peer = fromSocket(request.socket).getPeerCertificate().subject.CN;
    seen.push({ url, headers: request.headers, peer: String(peer) });
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on("end", () => {
      const { code = 200, json } = url === metricsPath ? { json: resources } : answer(url, request, body);
      response.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(json));
    });
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" ? (address?.port ?? 0) : 0);
    });
  });
  await client.create(kinds.service, {
    metadata: { name: "metrics", namespace },
    spec: { selector: { app: "metrics" }, ports: [{ name: "metrics-api", port: 6443 }] },
  });
  await client.create(kinds.endpointSlice, {
    metadata: { name: "metrics-1", namespace, labels: { "kubernetes.io/service-name": "metrics" } },
    addressType: "IPv4",
    endpoints: [{ addresses: ["127.0.0.1"], conditions: { ready: true } }],
    ports: [{ name: "metrics-api", port }],
  });
  return {
    ca: identity.ca,
    seen,
    server,
    port,
    register: (ca) => register(client, ca),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const resources = {
  kind: "APIResourceList",
  apiVersion: "v1",
  groupVersion: `${group}/v1beta2`,
  resources: [{ name: "pods/calls", singularName: "", namespaced: true, kind: "MetricValueList", verbs: ["get"] }],
};

function fromSocket(socket: unknown): TLSSocket {
  return socket as TLSSocket;
}

/** Registers whatever serves as Service `metrics`. */
export async function register(client: KubeClient, ca: string | undefined): Promise<void> {
  await client.create(kinds.apiService, {
    metadata: { name: metricsApi },
    spec: {
      group,
      version: "v1beta2",
      groupPriorityMinimum: 100,
      versionPriority: 200,
      service: { namespace, name: "metrics", port: 6443 },
      ...(ca === undefined ? {} : { caBundle: Buffer.from(ca).toString("base64") }),
    },
  });
}
