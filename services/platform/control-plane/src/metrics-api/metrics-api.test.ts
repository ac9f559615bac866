import { X509Certificate } from "node:crypto";
import { Agent } from "node:https";
import { Scope, silentLogger, systemClock } from "@weft/foundation";
import { certificatesIn } from "@weft/foundation/certificates";
import { eventually, FakeClock } from "@weft/foundation/testing";
import { kinds } from "@weft/kube";
import { beforeAll, expect, test } from "vitest";
import type { PodFigures } from "../metrics/scraper.js";
import { askMetricsApi, createFrontProxy, type FrontProxy } from "../testing/front-proxy.js";
import { type MiniKube, startMiniKube } from "../testing/mini-kube.js";
import { type MetricsApi, startMetricsApi } from "./metrics-api.js";
import { identityFromSecret, secretName } from "./serving-identity.js";

const soon = { ceilingMs: 20_000, everyMs: 5 };
const base = "/apis/custom.metrics.k8s.io";
const rates = `${base}/v1beta2/namespaces/shop/pods/*/grpc_server_calls_per_second`;
const figures: readonly PodFigures[] = [
  { app: "catalog", name: "catalog-1", callsPerSecond: 12.3456, callsInFlight: 2 },
  { app: "orders", name: "orders-1", callsPerSecond: 40, callsInFlight: 0.5 },
].map(({ app, ...more }) => ({
  namespace: "shop",
  labels: { app },
  takenWallMs: Date.UTC(2026, 5, 1, 12, 0, 0, 500),
  windowMs: 29_900,
  ...more,
}));

let frontProxy: FrontProxy;
beforeAll(async () => {
  frontProxy = await createFrontProxy();
});

const apiService = (version: string) => ({
  metadata: { name: `${version}.custom.metrics.k8s.io` },
  spec: { groupPriorityMinimum: 100, versionPriority: 100 },
});
const authentication = (data: Readonly<Record<string, string>>) => ({
  metadata: { name: "extension-apiserver-authentication", namespace: "kube-system" },
  data,
});

async function start(prepare: (kube: MiniKube) => void = () => {}, replicas = 1) {
  const kube = await startMiniKube();
  kube.put(kinds.configMap, authentication(frontProxy.data));
  for (const version of ["v1beta1", "v1beta2"]) kube.put(kinds.apiService, apiService(version));
  prepare(kube);
  const apis: MetricsApi[] = Array.from({ length: replicas }, () =>
    startMetricsApi({
      client: kube.connect(),
      figures: { warm: true, figuresIn: (namespace) => figures.filter((each) => each.namespace === namespace) },
      host: "127.0.0.1",
      port: 0,
      namespace: "weft",
      clock: systemClock,
      logger: silentLogger,
      everyMs: 20,
    }),
  );
  const rootOf = (version = "v1beta2"): string =>
    Buffer.from(
      kube.get(kinds.apiService, `${version}.custom.metrics.k8s.io`)?.spec.caBundle ?? "",
      "base64",
    ).toString();
  const portOf = async (api = apis[0]): Promise<number> => {
    const state = await api?.state.until(({ t }) => t === "serving", AbortSignal.timeout(20_000));
    return state?.t === "serving" ? state.port : 0;
  };
  return {
    kube,
    apis,
    rootOf,
    portOf,
    ask: async (path: string, more: Partial<Parameters<typeof askMetricsApi>[0]> = {}) =>
      askMetricsApi({
        port: more.port ?? (await portOf()),
        ca: rootOf(),
        client: frontProxy.client,
        path,
        ...more,
      }),
    async [Symbol.asyncDispose]() {
      for (const api of apis) await api[Symbol.asyncDispose]();
      await kube[Symbol.asyncDispose]();
    },
  };
}

test("the API server, by the root in its APIService, gets the values of all Pods that a selector meets", async () => {
  await using world = await start();
  expect(await world.ask(`${rates}?labelSelector=app%3Dcatalog`)).toEqual({
    code: 200,
    body: {
      kind: "MetricValueList",
      apiVersion: "custom.metrics.k8s.io/v1beta2",
      metadata: {},
      items: [
        {
          describedObject: { kind: "Pod", namespace: "shop", name: "catalog-1", apiVersion: "v1" },
          metric: { name: "grpc_server_calls_per_second", selector: null },
          timestamp: "2026-06-01T12:00:00Z",
          windowSeconds: 30,
          value: "12346m",
        },
      ],
    },
  });
  const one = await world.ask(`${base}/v1beta1/namespaces/shop/pods/orders-1/grpc_server_calls_in_flight`);
  expect(one.body).toMatchObject({
    apiVersion: "custom.metrics.k8s.io/v1beta1",
    items: [{ metricName: "grpc_server_calls_in_flight", window: 30, value: "500m" }],
  });
  expect((await world.ask(rates)).body).toMatchObject({ items: [{ value: "12346m" }, { value: "40" }] });
});

test("discovery names both versions, the newer first, and both metrics", async () => {
  await using world = await start();
  expect((await world.ask("/apis")).body).toMatchObject({
    kind: "APIGroupList",
    groups: [{ name: "custom.metrics.k8s.io" }],
  });
  expect((await world.ask(base)).body).toMatchObject({
    kind: "APIGroup",
    versions: [{ version: "v1beta2" }, { version: "v1beta1" }],
    preferredVersion: { groupVersion: "custom.metrics.k8s.io/v1beta2" },
  });
  expect((await world.ask(`${base}/v1beta1`)).body).toMatchObject({
    kind: "APIResourceList",
    groupVersion: "custom.metrics.k8s.io/v1beta1",
    resources: [
      { name: "pods/grpc_server_calls_per_second", namespaced: true, verbs: ["get"] },
      { name: "pods/grpc_server_calls_in_flight" },
    ],
  });
});

test("who is not the front proxy, or asks for nobody, is refused", async () => {
  await using world = await start();
  const codes = async (more: Parameters<typeof world.ask>[1]) => (await world.ask(rates, more)).code;
  expect(await codes({ client: frontProxy.client })).toBe(200);
  const nobody = await askMetricsApi({ port: await world.portOf(), ca: world.rootOf(), path: rates });
  expect(nobody).toMatchObject({ code: 401, body: { kind: "Status", reason: "Unauthorized" } });
  expect(await codes({ client: frontProxy.otherName })).toBe(401);
  await using scope = new Scope();
  const agent = new Agent({ keepAlive: true });
  scope.defer(() => agent.destroy());
  expect(await codes({ client: frontProxy.otherName, agent })).toBe(401);
  await eventually(() => Object.keys({ ...agent.sockets, ...agent.freeSockets }).length === 0, soon);
  expect(await codes({ client: frontProxy.otherAuthority })).toBe(401);
  expect(await codes({ headers: {} })).toBe(403);
  expect(await codes({ headers: { "X-Remote-User": "system:anonymous" } })).toBe(403);
  expect(await codes({ method: "POST" })).toBe(405);
});

test.each([
  ["/", 404],
  ["/openapi/v2", 200],
  ["/openapi/v3", 200],
  ["/openapi/v4", 404],
  [`${base}/v1beta3`, 404],
  [`${base}/v1beta2/namespaces/shop/pods/gone/grpc_server_calls_per_second`, 404],
  [`${base}/v1beta2/namespaces/shop/pods/*/cpu`, 404],
  [`${base}/v1beta2/namespaces/shop/services/*/grpc_server_calls_per_second`, 404],
  [`${rates}/more`, 404],
  [`${rates}/`, 404],
  [rates.replace("/pods", "//pods"), 404],
  [`${rates}?labelSelector=a%20b`, 400],
  [`${rates}?metricLabelSelector=a%3Db`, 400],
  [`${base}/v1beta2/namespaces/%ff/pods/*/x`, 400],
  [`${base}/v1beta2/namespaces/weft/pods/*/grpc_server_calls_per_second`, 200],
])("%s is answered with %i", async (path, code) => {
  await using world = await start();
  expect((await world.ask(path)).code).toBe(code);
});

test("nobody is answered while it is not known whom to trust, nor when that is taken away", async () => {
  await using world = await start((kube) =>
    kube.remove(kinds.configMap, "extension-apiserver-authentication", "kube-system"),
  );
  await eventually(() => {
    const state = world.apis[0]?.state.value;
    return state?.t === "waiting" && state.why.includes("there is no configmap");
  }, soon);
  world.kube.put(kinds.configMap, authentication(frontProxy.data));
  expect((await world.ask(rates)).code).toBe(200);
  const port = await world.portOf();
  world.kube.put(kinds.configMap, authentication({ ...frontProxy.data, "requestheader-client-ca-file": "" }));
  await eventually(() => world.apis[0]?.state.value.t === "waiting", soon);
  await expect(world.ask(rates, { port })).rejects.toThrow(/ECONNREFUSED/);
});

test("an authority that signs every client, with no names set, is no front proxy's", async () => {
  const root = frontProxy.data["requestheader-client-ca-file"] ?? "";
  await using world = await start((kube) =>
    kube.put(kinds.configMap, authentication({ "requestheader-client-ca-file": root, "client-ca-file": root })),
  );
  await eventually(() => {
    const state = world.apis[0]?.state.value;
    return state?.t === "waiting" && state.why.includes("the one of all clients");
  }, soon);
});

test("with another front proxy the connections of the old one end", async () => {
  await using world = await start();
  const next = await createFrontProxy();
  await using scope = new Scope();
  const agent = new Agent({ keepAlive: true });
  scope.defer(() => agent.destroy());
  expect((await world.ask(rates, { agent })).code).toBe(200);
  world.kube.put(kinds.configMap, authentication(next.data));
  await eventually(async () => (await world.ask(rates, { client: next.client })).code === 200, soon);
  expect((await world.ask(rates, { agent })).code).toBe(401);
});

test("replicas that start at the same time serve the same certificate", async () => {
  await using world = await start(() => {}, 4);
  const ports = await Promise.all(world.apis.map((api) => world.portOf(api)));
  const root = world.rootOf();
  expect(certificatesIn(root)).toHaveLength(1);
  for (const port of ports) expect((await world.ask(rates, { port, ca: root })).code).toBe(200);
  expect(world.rootOf("v1beta1")).toBe(root);
  expect(world.kube.get(kinds.secret, secretName, "weft")?.type).toBe("kubernetes.io/tls");
});

test("a root that somebody took out of the APIService, or made needless, is put back", async () => {
  await using world = await start();
  await world.portOf();
  const root = world.rootOf();
  const service = apiService("v1beta2");
  world.kube.put(kinds.apiService, { ...service, spec: { ...service.spec, insecureSkipTLSVerify: true } });
  await eventually(() => world.rootOf() === root, soon);
  expect(world.kube.get(kinds.apiService, service.metadata.name)?.spec.insecureSkipTLSVerify).toBe(false);
});

test("a key pair that is near its end, or unreadable, is replaced once, and the old root stays trusted", async () => {
  await using kube = await startMiniKube();
  const clock = new FakeClock(Date.now());
  const get = () =>
    identityFromSecret({
      client: kube.client,
      namespace: "weft",
      dnsNames: ["control-plane.weft.svc"],
      clock,
      logger: silentLogger,
      signal: AbortSignal.timeout(20_000),
    });
  const first = await get();
  expect(await get()).toEqual(first);
  await clock.advance(61 * 24 * 3_600_000);
  const [one, two] = await Promise.all([get(), get()]);
  expect(one).toEqual(two);
  expect(one.cert).not.toBe(first.cert);
  expect(certificatesIn(one.ca)).toEqual([expect.anything(), first.ca]);
  expect(new X509Certificate(one.cert).verify(new X509Certificate(one.ca).publicKey)).toBe(true);
  await clock.advance(61 * 24 * 3_600_000);
  expect(certificatesIn((await get()).ca)).toHaveLength(2);
  kube.put(kinds.secret, { metadata: { name: secretName, namespace: "weft" }, data: { "tls.crt": "AAAA" } });
  expect(certificatesIn((await get()).ca)).toHaveLength(1);
});

test("while the API is away what is served goes on, and says so", async () => {
  await using world = await start();
  const [port, ca] = [await world.portOf(), world.rootOf()];
  world.kube.setAway(true);
  await eventually(() => {
    const state = world.apis[0]?.state.value;
    return state?.t === "serving" && state.trouble !== undefined;
  }, soon);
  expect((await world.ask(rates, { port, ca })).code).toBe(200);
  world.kube.setAway(false);
  await eventually(() => {
    const state = world.apis[0]?.state.value;
    return state?.t === "serving" && state.trouble === undefined;
  }, soon);
});
