import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { type RequestOptions, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { eventually } from "@weft/foundation/testing";
import { anyKind, createKubeClient, type KubeError, kinds, parseKubeconfig, startInformer } from "@weft/kube";
import { expect, test } from "vitest";
import type { LaptopApi } from "./laptop-api.js";
import { startApi } from "./testing/fixture.js";

interface Sent {
  readonly code: number;
  readonly text: string;
}

/** A request with exactly these headers; the connection is its own. */
function send(api: LaptopApi, options: RequestOptions & { readonly body?: string | Buffer }): Promise<Sent> {
  return new Promise((resolve, reject) => {
    const { body, ...rest } = options;
    const outgoing = request(
      { host: api.host, port: api.port, ca: api.ca, agent: false, servername: "localhost", ...rest },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () =>
          resolve({ code: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
        );
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

const bearer = (api: LaptopApi): string => `Bearer ${api.admin.token?.() ?? ""}`;
const namespaced = { namespace: "default" } as const;

function stateFolder() {
  const directory = mkdtempSync(join(tmpdir(), "weft-api-"));
  return { directory, [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }) };
}

test("a request without the token, or with another, is 401 and a Status", async () => {
  await using api = await startApi();
  for (const authorization of [undefined, "Bearer", "Bearer nonsense", "Basic YTpi", "Bearer a.b.c"]) {
    const headers = authorization === undefined ? {} : { authorization };
    const answer = await send(api, { path: "/api/v1/pods", headers });
    expect(answer.code).toBe(401);
    expect(JSON.parse(answer.text)).toMatchObject({ kind: "Status", reason: "Unauthorized", code: 401 });
  }
});

test("a request for another host is refused, with the token too", async () => {
  await using api = await startApi();
  const headers = { authorization: bearer(api), host: `evil.example:${api.port}` };
  expect((await send(api, { path: "/api/v1/pods", headers })).code).toBe(403);
  const own = { authorization: bearer(api), host: `localhost:${api.port}` };
  expect((await send(api, { path: "/api/v1/pods", headers: own })).code).toBe(200);
});

test("a request from a web page is refused, with the token too", async () => {
  await using api = await startApi();
  for (const page of [
    { origin: "https://evil.example" },
    { origin: api.url },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-mode": "navigate" },
  ]) {
    const answer = await send(api, { path: "/api/v1/pods", headers: { authorization: bearer(api), ...page } });
    expect(answer.code).toBe(403);
  }
  const preflight = await send(api, {
    method: "OPTIONS",
    path: "/api/v1/pods",
    headers: { origin: "https://evil.example" },
  });
  expect(preflight.code).toBe(403);
});

test("garbage is refused and the API stays up", async () => {
  await using api = await startApi();
  const headers = { authorization: bearer(api), "content-type": "application/json" };
  const path = "/api/v1/namespaces/default/configmaps";
  const codes = async (options: RequestOptions & { readonly body?: string | Buffer }): Promise<number> =>
    (await send(api, { headers, ...options })).code;
  expect(await codes({ method: "POST", path, body: "{bad" })).toBe(400);
  expect(await codes({ method: "POST", path, body: "" })).toBe(400);
  expect(await codes({ method: "POST", path, body: "[]" })).toBe(400);
  expect(await codes({ method: "POST", path, body: '"x"' })).toBe(400);
  expect(await codes({ method: "POST", path, body: '{"metadata":7}' })).toBe(400);
  expect(await codes({ method: "POST", path, body: '{"metadata":{"name":{"a":1}}}' })).toBe(400);
  expect(await codes({ method: "POST", path, body: Buffer.from([0x6b, 0x38, 0x73, 0, 0xff, 0xff]) })).toBe(400);
  const protobuf = { authorization: bearer(api), "content-type": "application/vnd.kubernetes.protobuf" };
  for (const bytes of [[], [0x6b, 0x38, 0x73, 0], [0x6b, 0x38, 0x73, 0, 0x0a, 0xff, 0xff], [1, 2, 3, 4, 5]]) {
    expect((await send(api, { method: "POST", path, headers: protobuf, body: Buffer.from(bytes) })).code).toBe(400);
  }
  const yaml = { authorization: bearer(api), "content-type": "application/yaml" };
  expect((await send(api, { method: "POST", path, headers: yaml, body: "a: [" })).code).toBe(400);
  expect(await codes({ method: "POST", path, body: `{"data":{"a":"${"x".repeat(4_000_000)}"}}` })).toBe(413);
  expect(await codes({ method: "PATCH", path: `${path}/kube-root-ca.crt`, body: "{}" })).toBe(415);
  expect(await codes({ path: "/api/v1/namespaces/%ZZ/pods" })).toBe(400);
  expect(await codes({ path: "/apis/a/b/c/d/e/f/g/h/i" })).toBe(404);
  expect(await codes({ path: "//" })).toBe(404);
  expect(await codes({ path: "/api/v1/pods?labelSelector=((" })).toBe(400);
  expect(await codes({ path: "/api/v1/pods?watch=true&resourceVersion=x" })).toBe(400);
  expect(await codes({ method: "DELETE", path: "/api/v1/namespaces/default/configmaps/none" })).toBe(404);
  const socket = connect({ host: api.host, port: api.port, ca: api.ca });
  await new Promise((resolve) => {
    socket.on("error", () => {});
    socket.on("close", resolve);
    socket.write("not http at all\r\n\r\n");
    socket.resume();
  });
  expect(await codes({ path: "/api/v1/namespaces" })).toBe(200);
});

test("a negative weight of a GRPCRoute is 422 with the path of the field", async () => {
  await using api = await startApi();
  await using client = createKubeClient(api.admin);
  const refusal = await client
    .create(kinds.grpcRoute, {
      metadata: { name: "canary", ...namespaced },
      spec: { rules: [{ backendRefs: [{ name: "orders", port: 8080, weight: -1 }] }] },
    })
    .then(
      () => undefined,
      (error: KubeError) => error,
    );
  expect(refusal).toMatchObject({ code: 422, reason: "Invalid" });
  expect(refusal?.message).toBe(
    'GRPCRoute.gateway.networking.k8s.io "canary" is invalid: spec.rules[0].backendRefs[0].weight: Invalid value: -1: spec.rules[0].backendRefs[0].weight in body should be greater than or equal to 0',
  );
  expect(refusal?.details?.causes?.map((cause) => cause.field)).toEqual(["spec.rules[0].backendRefs[0].weight"]);
});

test("after a restart everything is there, versions go on, and old watches are told to list again", async () => {
  using state = stateFolder();
  const first = await startApi({ directory: state.directory });
  const before = createKubeClient(first.admin);
  const made = await before.create(kinds.configMap, { metadata: { name: "kept", ...namespaced }, data: { a: "1" } });
  await before.create(kinds.event, { metadata: { name: "gone", ...namespaced }, involvedObject: {} });
  const { token } = await before.issueToken({ name: "default", ...namespaced }, { expirationSeconds: 600 });
  await before[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
  for (const file of ["objects.json", "kubeconfig", "admin-token", "token.key", "server.key"]) {
    expect(statSync(join(state.directory, file)).mode & 0o777).toBe(0o600);
  }

  await using second = await startApi({ directory: state.directory });
  await using after = createKubeClient(second.admin);
  expect(await after.get(kinds.configMap, { name: "kept", ...namespaced })).toEqual(made);
  expect((await after.list(kinds.event, namespaced)).items).toEqual([]);
  const changed = await after.patch(
    kinds.configMap,
    { name: "kept", ...namespaced },
    { t: "merge", body: { data: { a: "2" } } },
  );
  expect(Number(changed.metadata.resourceVersion)).toBeGreaterThan(Number(made.metadata.resourceVersion));
  const watch = async (): Promise<void> => {
    const resourceVersion = made.metadata.resourceVersion ?? "";
    for await (const _event of after.watch(kinds.configMap, { resourceVersion, timeoutSeconds: 5 })) return;
  };
  await expect(watch()).rejects.toMatchObject({ code: 410 });
  expect(second.ca).toBe(first.ca);
  expect(second.admin.token?.()).toBe(first.admin.token?.());
  expect((await after.reviewToken({ token })).authenticated).toBe(true);
  const config = parseKubeconfig(readFileSync(second.kubeconfigFile, "utf8"));
  expect(config).toMatchObject({ ok: true, value: { server: second.url } });
});

test("an informer rides over a restart of the API without losing sight of an object", async () => {
  using state = stateFolder();
  const first = await startApi({ directory: state.directory });
  const { port } = first;
  await using client = createKubeClient(first.admin);
  await client.create(kinds.configMap, { metadata: { name: "seen", ...namespaced } });
  await using informer = startInformer({ client, kind: kinds.configMap, ...namespaced });
  await informer.synced.until((synced) => synced, AbortSignal.timeout(10_000));
  let fewest = informer.objects.value.size;
  using _subscription = informer.objects.subscribe((objects) => {
    fewest = Math.min(fewest, objects.size);
  });
  await first[Symbol.asyncDispose]();
  await using _second = await startApi({ directory: state.directory, port });
  await client.create(kinds.configMap, { metadata: { name: "later", ...namespaced } });
  await eventually(() => informer.objects.value.has("default/later"), { ceilingMs: 20_000 });
  expect(informer.objects.value.has("default/seen")).toBe(true);
  expect(fewest).toBe(2);
});

test("a namespace takes its content along, and has an account and the certificate while it lives", async () => {
  await using api = await startApi();
  await using client = createKubeClient(api.admin);
  await client.create(kinds.namespace, { metadata: { name: "brief" } });
  const root = await eventually(() => client.get(kinds.configMap, { name: "kube-root-ca.crt", namespace: "brief" }), {
    ceilingMs: 10_000,
  });
  expect(root.data).toEqual({ "ca.crt": api.ca });
  await client.create(kinds.secret, { metadata: { name: "s", namespace: "brief" } });
  await client.delete(kinds.namespace, { name: "brief" });
  const late = client.create(kinds.secret, { metadata: { name: "late", namespace: "brief" } });
  await expect(late).rejects.toMatchObject({ code: 403 });
  const gone = () =>
    client.get(kinds.namespace, { name: "brief" }).then(
      () => false,
      () => true,
    );
  await eventually(gone, { ceilingMs: 30_000 });
  expect((await client.list(kinds.secret, { namespace: "brief" })).items).toEqual([]);
});

test("a Pod on a node keeps its grace until the kubelet deletes it", async () => {
  await using api = await startApi();
  await using client = createKubeClient(api.admin);
  const ref = { name: "graceful", ...namespaced };
  await client.create(kinds.pod, {
    metadata: ref,
    spec: { nodeName: "laptop", terminationGracePeriodSeconds: 7, containers: [{ name: "main", image: "x:1" }] },
  });
  await client.delete(kinds.pod, ref);
  const ending = await client.get(kinds.pod, ref);
  expect(ending.metadata).toMatchObject({ deletionGracePeriodSeconds: 7 });
  await client.delete(kinds.pod, ref, { gracePeriodSeconds: 0 });
  await expect(client.get(kinds.pod, ref)).rejects.toMatchObject({ code: 404 });
});

test("logs come from the Pod's container, and a container that is not there is 400", async () => {
  await using api = await startApi();
  await using client = createKubeClient(api.admin);
  const ref = { name: "talks", ...namespaced };
  await client.create(kinds.pod, { metadata: ref, spec: { containers: [{ name: "main", image: "x:1" }] } });
  let text = "";
  for await (const chunk of await client.logs(ref, { tailLines: 5 })) text += chunk.toString("utf8");
  expect(text).toBe("talks/main tail=5\n");
  await expect(client.logs(ref, { container: "other" })).rejects.toMatchObject({ code: 400 });
});

test("port-forward carries bytes both ways, and much of them", async () => {
  await using api = await startApi();
  await using client = createKubeClient(api.admin);
  const ref = { name: "echo", ...namespaced };
  await client.create(kinds.pod, { metadata: ref, spec: { containers: [{ name: "main", image: "x:1" }] } });
  const stream = await client.portForward(ref, 9465);
  const sent = Buffer.alloc(3_000_000, "weft");
  stream.write(sent);
  const received: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    received.push(chunk);
    bytes += chunk.length;
    if (bytes >= sent.length) break;
  }
  expect(Buffer.concat(received).equals(sent)).toBe(true);
  await expect(client.portForward({ name: "none", ...namespaced }, 1)).rejects.toMatchObject({ code: 404 });
});

test("a custom kind is served while its definition is there, judged by its schema", async () => {
  await using api = await startApi();
  await using client = createKubeClient(api.admin);
  const widget = anyKind({ group: "weft.test", version: "v1", kind: "Widget", plural: "widgets", namespaced: true });
  const openAPIV3Schema = {
    type: "object",
    properties: {
      spec: {
        type: "object",
        required: ["size"],
        properties: {
          size: { type: "integer", maximum: 5 },
          color: { type: "string", default: "red", pattern: "^(?:a|r).*$" },
        },
      },
      status: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    },
  };
  await client.create(kinds.customResourceDefinition, {
    metadata: { name: "widgets.weft.test" },
    spec: {
      group: "weft.test",
      scope: "Namespaced",
      names: { plural: "widgets", kind: "Widget", shortNames: ["wd"] },
      versions: [
        { name: "v1", served: true, storage: true, schema: { openAPIV3Schema }, subresources: { status: {} } },
      ],
    },
  });
  const established = async (): Promise<boolean> => {
    const definition = await client.get(kinds.customResourceDefinition, { name: "widgets.weft.test" });
    return definition.status?.conditions?.some((condition) => condition.type === "Established") ?? false;
  };
  await eventually(established, { ceilingMs: 10_000 });
  const made = await client.create(widget, { metadata: { name: "w", ...namespaced }, spec: { size: 3, extra: 1 } });
  expect(made["spec"]).toEqual({ size: 3, color: "red" });
  const big = client.create(widget, { metadata: { name: "big", ...namespaced }, spec: { size: 9, color: "blue" } });
  await expect(big).rejects.toMatchObject({ code: 422 });
  await client.delete(kinds.customResourceDefinition, { name: "widgets.weft.test" });
  await expect(client.list(widget)).rejects.toMatchObject({ code: 404 });
});

test("only who may do anything may look as somebody else", async () => {
  await using api = await startApi();
  await using client = createKubeClient(api.admin);
  const as = { "impersonate-user": "system:serviceaccount:default:default" };
  const path = "/api/v1/namespaces/default/secrets";
  expect((await send(api, { path, headers: { authorization: bearer(api), ...as } })).code).toBe(403);
  const { token } = await client.issueToken({ name: "default", ...namespaced }, { expirationSeconds: 600 });
  const headers = {
    authorization: `Bearer ${token}`,
    "impersonate-user": "kubernetes-admin",
    "impersonate-group": "system:masters",
  };
  expect((await send(api, { path, headers })).code).toBe(403);
});

test("a rule about one name allows to select that one, and nobody creates another by selecting it", async () => {
  await using api = await startApi();
  await using client = createKubeClient(api.admin);
  await client.create(kinds.role, {
    metadata: { name: "one", ...namespaced },
    rules: [{ apiGroups: [""], resources: ["secrets"], resourceNames: ["one"], verbs: ["*"] }],
  });
  await client.create(kinds.roleBinding, {
    metadata: { name: "one", ...namespaced },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "one" },
    subjects: [{ kind: "ServiceAccount", name: "default", ...namespaced }],
  });
  const account = { name: "default", ...namespaced };
  const { token } = await eventually(() => client.issueToken(account, { expirationSeconds: 600 }), {
    ceilingMs: 10_000,
  });
  const authorization = `Bearer ${token}`;
  const codeOf = async (method: string, query: string, body?: string): Promise<number> => {
    const headers = { authorization, "content-type": "application/json" };
    const path = `/api/v1/namespaces/default/secrets${query}`;
    return (await send(api, { path, method, headers, ...(body === undefined ? {} : { body }) })).code;
  };
  expect(await codeOf("GET", "?fieldSelector=metadata.name%3Done")).toBe(200);
  expect(await codeOf("GET", "")).toBe(403);
  const other = JSON.stringify({ metadata: { name: "other" } });
  expect(await codeOf("POST", "?fieldSelector=metadata.name%3Done", other)).toBe(403);
});

test("a token ends with the Pod that it is bound to", async () => {
  await using api = await startApi();
  await using client = createKubeClient(api.admin);
  const ref = { name: "holder", ...namespaced };
  const pod = await client.create(kinds.pod, { metadata: ref, spec: { containers: [{ name: "main", image: "x:1" }] } });
  const boundTo = { kind: "Pod", name: "holder", uid: pod.metadata.uid ?? "" } as const;
  const { token } = await client.issueToken({ name: "default", ...namespaced }, { boundTo });
  expect((await client.reviewToken({ token })).authenticated).toBe(true);
  await client.delete(kinds.pod, ref);
  expect((await client.reviewToken({ token })).authenticated ?? false).toBe(false);
});
