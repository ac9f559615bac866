import { request } from "node:https";
import { eventually } from "@weft/foundation/testing";
import { createKubeClient, type KubeClient, kinds } from "@weft/kube";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { LaptopApi } from "../laptop-api.js";
import { startApi } from "../testing/fixture.js";
import { metricsPath as base, metricsApi as name, register, startMetricsServer } from "../testing/metrics-server.js";

const namespace = "default";

let api: LaptopApi;
let client: KubeClient;

beforeEach(async () => {
  api = await startApi();
  client = createKubeClient(api.admin);
});
afterEach(async () => {
  await client[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

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
  await using metrics = await startMetricsServer(client, {
    answer: (url, { method }, body) => ({
      code: url.includes("missing") ? 404 : 200,
      json: { answered: url, method, body },
    }),
  });
  const { ca, seen } = metrics;
  await metrics.register(ca);
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
  await using metrics = await startMetricsServer(client, {
    answer: (url, { method }, body) => ({
      code: url.includes("missing") ? 404 : 200,
      json: { answered: url, method, body },
    }),
  });
  const { ca, seen } = metrics;
  await metrics.register(ca);
  await available("True");
  const path = `${base}/namespaces/default/pods/*/calls`;
  const account = { namespace, name: "default" };
  await eventually(() => client.get(kinds.serviceAccount, account), { ceilingMs: 10_000 });
  const { token } = await client.issueToken(account, { expirationSeconds: 600 });
  const asAccount = async (headers: Record<string, string> = {}): Promise<number> => {
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

test("a body that comes in chunks is forwarded as one, whatever the method, and never read as a request of its own", async () => {
  await using metrics = await startMetricsServer(client);
  await metrics.register(metrics.ca);
  await available("True");
  const path = `${base}/namespaces/shop/pods/*/calls`;
  const smuggled = `GET ${path} HTTP/1.1\r\nhost: metrics.default.svc\r\nx-remote-user: root\r\n\r\n`;
  for (const method of ["GET", "DELETE"]) {
    const answer = await ask(path, { method, headers: { "transfer-encoding": "chunked" }, body: smuggled });
    expect(JSON.parse(answer)).toEqual({ answered: path, method, body: smuggled });
  }
  expect(await ask(path, {})).toContain(path);
  expect(metrics.seen.map(({ headers }) => headers["x-remote-user"])).not.toContain("root");
});

test("what is forwarded is the path that was judged, and what is neither a resource nor discovery is not forwarded", async () => {
  await using metrics = await startMetricsServer(client);
  await metrics.register(metrics.ca);
  await available("True");
  const path = `${base}/namespaces/shop/pods/*/calls`;
  expect(JSON.parse(await ask(`${base}/namespaces/other/../shop/pods/*/calls`, {}))).toMatchObject({ answered: path });
  for (const odd of [`${path}/`, `${base}/namespaces//shop/pods/*/calls`, `${path}/more`, `${base}//pods`])
    expect(JSON.parse(await ask(odd, {})), odd).toMatchObject({ kind: "Status", code: 404 });
  expect(metrics.seen.map(({ url }) => url).filter((url) => url !== base)).toEqual([path]);
});

/** The text of an answer to the administrator, to a path that is sent as it stands. */
async function ask(
  path: string,
  options: { readonly method?: string; readonly headers?: Record<string, string>; readonly body?: string },
): Promise<string> {
  const { method = "GET", headers = {}, body } = options;
  const authorization = `Bearer ${api.admin.token?.() ?? ""}`;
  const [, host = "", port = ""] = /^https:\/\/([^:/]+):(\d+)/.exec(api.url) ?? [];
  return await new Promise((resolve, reject) => {
    request({ host, port, path, method, ca: api.ca, headers: { ...headers, authorization } }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.once("error", reject);
      response.once("end", () => resolve(text));
    })
      .once("error", reject)
      .end(body);
  });
}

test("a server whose certificate is not its Service's, or not of the bundle, gets no request", async () => {
  await using metrics = await startMetricsServer(client, { dnsName: "other.default.svc" });
  const { ca, seen } = metrics;
  await metrics.register(ca);
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
  await register(client, undefined);
  expect(await available("False")).toContain("ServiceNotFound");
  expect((await client.request({ method: "GET", path: base })).code).toBe(503);
  await using metrics = await startMetricsServer(client);
  const { ca, server, port } = metrics;
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
