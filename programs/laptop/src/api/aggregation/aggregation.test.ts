import type { IncomingMessage } from "node:http";
import { createServer, type Server } from "node:https";
import type { TLSSocket } from "node:tls";
import { createServerIdentity } from "@weft/foundation/certificates";
import { eventually } from "@weft/foundation/testing";
import { createKubeClient, type KubeClient, kinds } from "@weft/kube";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { LaptopApi } from "../laptop-api.js";
import { startApi } from "../testing/fixture.js";

const name = "v1beta2.custom.metrics.k8s.io";
const base = "/apis/custom.metrics.k8s.io/v1beta2";
const namespace = "default";
const yearMs = 365 * 24 * 60 * 60 * 1_000;

let api: LaptopApi;
let client: KubeClient;
let stop: (() => Promise<void>) | undefined;

beforeEach(async () => {
  api = await startApi();
  client = createKubeClient(api.admin);
});
afterEach(async () => {
  await stop?.();
  stop = undefined;
  await client[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

interface Seen {
  readonly url: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly rawHeaders: readonly string[];
  readonly peer: string;
}

/** A server of the metrics API that takes the API's own certificate alone, behind Service `metrics`. */
async function serveMetrics(
  options: { readonly dnsName?: string } = {},
): Promise<{ readonly ca: string; readonly seen: Seen[]; readonly server: Server; readonly port: number }> {
  const identity = await createServerIdentity({
    commonName: "metrics",
    authorityName: "metrics root",
    dnsNames: [options.dnsName ?? "metrics.default.svc"],
    lifetimeMs: yearMs,
    nowMs: Date.now(),
  });
  const auth = await client.get(kinds.configMap, {
    namespace: "kube-system",
    name: "extension-apiserver-authentication",
  });
  const seen: Seen[] = [];
  const tls = {
    cert: identity.cert,
    key: identity.key,
    ca: auth.data?.["requestheader-client-ca-file"] ?? "",
    requestCert: true,
    rejectUnauthorized: true,
  };
  const server = createServer(tls, (request, response) => {
    const peer = fromSocket(request.socket).getPeerCertificate().subject.CN;
    seen.push({ url: request.url, headers: request.headers, rawHeaders: request.rawHeaders, peer: String(peer) });
    response.setHeader("content-type", "application/json");
    if (request.url === base) {
      const resource = {
        name: "pods/calls",
        singularName: "",
        namespaced: true,
        kind: "MetricValueList",
        verbs: ["get"],
      };
      response.end(JSON.stringify({ kind: "APIResourceList", groupVersion: "x", resources: [resource] }));
      return;
    }
    response.statusCode = request.url?.includes("missing") === true ? 404 : 200;
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on("end", () => response.end(JSON.stringify({ answered: request.url, method: request.method, body })));
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" ? (address?.port ?? 0) : 0);
    });
  });
  stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
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
  return { ca: identity.ca, seen, server, port };
}

function fromSocket(socket: unknown): TLSSocket {
  return socket as TLSSocket;
}

async function register(ca: string | undefined): Promise<void> {
  await client.create(kinds.apiService, {
    metadata: { name },
    spec: {
      group: "custom.metrics.k8s.io",
      version: "v1beta2",
      groupPriorityMinimum: 100,
      versionPriority: 200,
      service: { namespace, name: "metrics", port: 6443 },
      ...(ca === undefined ? {} : { caBundle: Buffer.from(ca).toString("base64") }),
    },
  });
}

/** The condition `Available`, once it has this status. */
async function available(status: string): Promise<unknown> {
  return await eventually(
    async () => {
      const found: unknown = (await client.get(kinds.apiService, { name })).status;
      const text = JSON.stringify(found);
      return text?.includes(`"status":"${status}"`) === true && text;
    },
    { ceilingMs: 30_000, what: `${name} available: ${status}` },
  );
}

test("a group of another server is discovered and answered by it, as from whoever asks", async () => {
  const { ca, seen } = await serveMetrics();
  await register(ca);
  expect(await available("True")).toContain('"reason":"Passed"');

  const groups = JSON.parse((await client.request({ method: "GET", path: "/apis" })).text);
  expect(groups.groups).toContainEqual(
    expect.objectContaining({
      name: "custom.metrics.k8s.io",
      preferredVersion: { groupVersion: "custom.metrics.k8s.io/v1beta2", version: "v1beta2" },
    }),
  );
  const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
  const aggregated = JSON.parse((await client.request({ method: "GET", path: "/apis", accept })).text);
  expect(
    aggregated.items.find((item: { metadata: { name: string } }) => item.metadata.name === "custom.metrics.k8s.io"),
  ).toMatchObject({
    versions: [
      {
        version: "v1beta2",
        freshness: "Current",
        resources: [
          { resource: "pods", scope: "Namespaced", subresources: [{ subresource: "calls", verbs: ["get"] }] },
        ],
      },
    ],
  });

  const path = `${base}/namespaces/shop/pods/*/calls`;
  const answer = await client.request({ method: "GET", path, query: { labelSelector: "a=b" } });
  expect(answer.code).toBe(200);
  expect(JSON.parse(answer.text)).toMatchObject({
    answered: expect.stringContaining("/pods/*/calls?labelSelector=a%3Db"),
  });
  expect(seen.at(-1)?.peer).toBe("front-proxy-client");
  expect(seen.at(-1)?.headers).toMatchObject({
    host: "metrics.default.svc",
    "x-remote-user": "kubernetes-admin",
    "x-remote-group": "system:masters, system:authenticated",
  });
  expect(seen.at(-1)?.headers.authorization).toBeUndefined();
  expect((await client.request({ method: "GET", path: `${base}/missing` })).code).toBe(404);
  const posted = await client.request({ method: "POST", path, body: { a: 1 } });
  expect(JSON.parse(posted.text)).toMatchObject({ method: "POST", body: '{"a":1}' });
});

test("what a caller says of itself is not forwarded, and who may not ask is refused before", async () => {
  const { ca, seen } = await serveMetrics();
  await register(ca);
  await available("True");
  const path = `${base}/namespaces/default/pods/*/calls`;
  const account = { namespace, name: "default" };
  await eventually(() => client.get(kinds.serviceAccount, account), { ceilingMs: 10_000 });
  const { token } = await client.issueToken(account, { expirationSeconds: 600 });
  const asAccount = async (headers: Record<string, string> = {}): Promise<number> => {
    const { request } = await import("node:https");
    return await new Promise((resolve, reject) => {
      const options = { ca: api.ca, headers: { ...headers, authorization: `Bearer ${token}` } };
      request(`${api.url}${path}`, options, (response) => {
        response.resume().once("end", () => resolve(response.statusCode ?? 0));
      })
        .once("error", reject)
        .end();
    });
  };
  expect(await asAccount()).toBe(403);
  await client.create(kinds.role, {
    metadata: { name: "asker", namespace },
    rules: [{ apiGroups: ["custom.metrics.k8s.io"], resources: ["*"], verbs: ["get"] }],
  });
  await client.create(kinds.roleBinding, {
    metadata: { name: "asker", namespace },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "asker" },
    subjects: [{ kind: "ServiceAccount", name: "default", namespace }],
  });
  const forged = { "X-Remote-User": "root", "X-Remote-Group": "system:masters", "X-Remote-Extra-A": "b" };
  expect(await asAccount(forged)).toBe(200);
  const headers = seen.at(-1)?.headers ?? {};
  expect(headers["x-remote-user"]).toBe("system:serviceaccount:default:default");
  expect(headers["x-remote-group"]).toBe(
    "system:serviceaccounts, system:serviceaccounts:default, system:authenticated",
  );
  expect(headers["x-remote-extra-a"]).toBeUndefined();
});

test("a server whose certificate is not its Service's, or not of the bundle, gets no request", async () => {
  const { ca, seen } = await serveMetrics({ dnsName: "other.default.svc" });
  await register(ca);
  expect(await available("False")).toContain("FailedDiscoveryCheck");
  expect((await client.request({ method: "GET", path: `${base}/namespaces/shop/pods/x/calls` })).code).toBe(503);
  await client.patch(
    kinds.apiService,
    { name },
    { t: "merge", body: { spec: { caBundle: Buffer.from(api.ca).toString("base64") } } },
  );
  await eventually(
    async () => JSON.stringify(await client.get(kinds.apiService, { name })).includes("unable to verify"),
    {
      ceilingMs: 30_000,
      what: "the other bundle tried",
    },
  );
  expect(seen).toEqual([]);
});

test("a group says that its server is away, and comes back with it", async () => {
  await register(undefined);
  expect(await available("False")).toContain("ServiceNotFound");
  expect((await client.request({ method: "GET", path: base })).code).toBe(503);
  const { ca, server, port } = await serveMetrics();
  await client.patch(
    kinds.apiService,
    { name },
    { t: "merge", body: { spec: { caBundle: Buffer.from(ca).toString("base64") } } },
  );
  await available("True");
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await eventually(async () => (await client.request({ method: "GET", path: base })).code === 503, {
    ceilingMs: 30_000,
    what: "503 without the server",
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  await available("True");
  expect((await client.request({ method: "GET", path: base })).code).toBe(200);
  await client.delete(kinds.apiService, { name });
  await eventually(async () => (await client.request({ method: "GET", path: base })).code === 404, {
    ceilingMs: 10_000,
  });
});
