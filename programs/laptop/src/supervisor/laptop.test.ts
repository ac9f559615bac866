import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@weft/foundation";
import { eventually } from "@weft/foundation/testing";
import { type Deployment, kinds, type Pod } from "@weft/kube";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Laptop, startLaptop } from "./laptop.js";
import { stateFolderOf } from "./state-folder.js";

const folder = mkdtempSync(join(tmpdir(), "weft-laptop-"));
const namespace = "default";
const patient = { ceilingMs: 30_000 };
const notices: string[] = [];
let laptop: Laptop;

/** A server that is ready 300 ms after its start, unless READY says never. It names itself. */
const server = `
  import { createServer } from "node:http";
  const since = Date.now();
  createServer((request, response) => {
    const ready = process.env.READY !== "never" && Date.now() - since > 300;
    response.statusCode = request.url !== "/readyz" || ready ? 200 : 503;
    response.end(process.env.POD_NAME);
  }).listen(8080, process.env.WEFT_BIND);
  process.on("SIGTERM", () => setTimeout(() => process.exit(0), Number(process.env.LINGER ?? 0)));
`;

beforeAll(async () => {
  mkdirSync(join(folder, "images"));
  writeFileSync(join(folder, "images", "web.mjs"), server);
  laptop = await startLaptop({
    state: stateFolderOf(join(folder, "state")),
    images: (image) => ({
      t: "program",
      file: process.execPath,
      args: [join(folder, "images", `${/([^/:]+):/.exec(image)?.[1]}.mjs`)],
    }),
    path: process.env["PATH"] ?? "",
    forcedEnv: {},
    logger: silentLogger,
    signal: new AbortController().signal,
    notice: (line) => notices.push(line),
  });
}, 60_000);

afterAll(async () => {
  await laptop?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

let count = 0;
let name = "";
beforeEach(() => {
  name = `web-${++count}`;
});

async function deploy(replicas: number, env: Record<string, string> = {}): Promise<Deployment> {
  const labels = { app: name };
  return await laptop.client.create(kinds.deployment, {
    metadata: { name, namespace },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      progressDeadlineSeconds: 2,
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 3,
          containers: [
            {
              name: "web",
              image: "example.test/web:dev",
              env: [
                { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
                ...Object.entries(env).map(([key, value]) => ({ name: key, value })),
              ],
              ports: [{ name: "http", containerPort: 8080 }],
              readinessProbe: { httpGet: { path: "/readyz", port: "http" }, periodSeconds: 1, failureThreshold: 1 },
            },
          ],
        },
      },
    },
  });
}

async function expose(type: string, port: number): Promise<void> {
  await laptop.client.create(kinds.service, {
    metadata: { name, namespace },
    spec: { type, selector: { app: name }, ports: [{ name: "http", port, targetPort: "http" }] },
  });
}

const pods = async (): Promise<readonly Pod[]> =>
  (await laptop.client.list(kinds.pod, { namespace, labelSelector: `app=${name}` })).items;

const ready = (pod: Pod): boolean =>
  pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;

async function setEnv(key: string, value: string): Promise<void> {
  const deployment = await laptop.client.get(kinds.deployment, { name, namespace });
  const [container] = deployment.spec.template.spec?.containers ?? [];
  const containers = [
    { ...container, env: [...(container?.env ?? []).filter((one) => one.name !== key), { name: key, value }] },
  ];
  const body = { spec: { template: { spec: { containers } } } };
  await laptop.client.patch(kinds.deployment, { name, namespace }, { t: "merge", body });
}

const done = async (): Promise<boolean> => {
  const line = laptop.readiness.value.find((one) => one.name === name);
  const { metadata, status } = await laptop.client.get(kinds.deployment, { name, namespace });
  return line?.done === true && status?.observedGeneration === metadata.generation;
};

test("a rolling update replaces every Pod and never has fewer ready ones than wanted", async () => {
  await deploy(2);
  await eventually(done, patient);
  const before = (await pods()).map(({ metadata }) => metadata.name);
  await setEnv("COLOUR", "blue");
  let fewest = Number.POSITIVE_INFINITY;
  await eventually(async () => {
    const serving = (await pods()).filter((pod) => ready(pod) && pod.metadata.deletionTimestamp === undefined);
    fewest = Math.min(fewest, serving.length);
    return (await done()) && serving.every(({ metadata }) => !before.includes(metadata.name));
  }, patient);
  expect(fewest).toBe(2);
  const { metadata, status } = await laptop.client.get(kinds.deployment, { name, namespace });
  expect(metadata.annotations?.["deployment.kubernetes.io/revision"]).toBe("2");
  expect(status?.conditions?.find(({ type }) => type === "Progressing")?.reason).toBe("NewReplicaSetAvailable");
});

test("an update that never gets ready leaves the old Pods serving and passes its deadline; going back makes no new ReplicaSet", async () => {
  await deploy(2);
  await eventually(done, patient);
  const before = (await pods()).map(({ metadata }) => metadata.uid);
  await setEnv("READY", "never");
  await eventually(async () => {
    const { status } = await laptop.client.get(kinds.deployment, { name, namespace });
    return status?.conditions?.some(({ reason }) => reason === "ProgressDeadlineExceeded");
  }, patient);
  const now = await pods();
  expect(now).toHaveLength(3);
  expect(
    now
      .filter((pod) => ready(pod))
      .map(({ metadata }) => metadata.uid)
      .sort(),
  ).toEqual(before.sort());
  expect(laptop.readiness.value.find((one) => one.name === name)?.why).toContain("HTTP status 503");

  const sets = (await laptop.client.list(kinds.replicaSet, { namespace, labelSelector: `app=${name}` })).items;
  const first = sets.find(({ metadata }) => metadata.annotations?.["deployment.kubernetes.io/revision"] === "1");
  const { template } = first?.spec ?? {};
  const body = [
    {
      op: "replace",
      path: "/spec/template",
      value: { ...template, metadata: { labels: { app: name }, creationTimestamp: null } },
    },
  ];
  await laptop.client.patch(kinds.deployment, { name, namespace }, { t: "json", body });
  await eventually(done, patient);
  await eventually(async () => (await pods()).length === 2, patient);
  const after = (await laptop.client.list(kinds.replicaSet, { namespace, labelSelector: `app=${name}` })).items;
  expect(after).toHaveLength(2);
  expect((await pods()).map(({ metadata }) => metadata.uid).sort()).toEqual(before);
});

test("a Pod that is deleted leaves the endpoints at once, while it still serves, and is replaced", async () => {
  await deploy(2, { LINGER: "1500" });
  await expose("ClusterIP", 8080);
  const endpoints = async () => {
    const { items } = await laptop.client.list(kinds.endpointSlice, {
      namespace,
      labelSelector: `kubernetes.io/service-name=${name}`,
    });
    return items.flatMap((slice) => slice.endpoints ?? []);
  };
  await eventually(async () => (await endpoints()).filter(({ conditions }) => conditions?.ready).length === 2, patient);
  const [victim] = await pods();
  await laptop.client.delete(kinds.pod, { name: victim?.metadata.name ?? "", namespace });
  const leaving = await eventually(
    async () =>
      (await endpoints()).find(
        ({ targetRef, conditions }) => targetRef?.uid === victim?.metadata.uid && conditions?.ready === false,
      ),
    patient,
  );
  expect(leaving.conditions).toEqual({ ready: false, serving: true, terminating: true });
  expect(leaving.zone).toBe("local");
  await eventually(async () => {
    const now = await endpoints();
    return now.length === 2 && now.every(({ conditions }) => conditions?.ready === true);
  }, patient);
});

test("a LoadBalancer Service is reached on this machine, at the next port when its own is taken, by every ready Pod", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const address = taken.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await deploy(2);
  await expose("LoadBalancer", port);
  await eventually(done, patient);
  const at = await eventually(() => laptop.addressOf({ name, namespace }, "http"), patient);
  expect(at).not.toBe(`127.0.0.1:${port}`);
  await eventually(async () => {
    const { status } = await laptop.client.get(kinds.service, { name, namespace });
    const ingress = status?.loadBalancer?.ingress?.[0];
    return ingress !== undefined && `${ingress.ip}:${ingress.ports?.[0]?.port}` === at;
  }, patient);
  expect(notices).toContain(`default/${name}: port ${port} is taken, http is at ${at}`);
  const answers = new Set<string>();
  for (let call = 0; call < 8; call++) {
    answers.add(await (await fetch(`http://${at}/`, { headers: { connection: "close" } })).text());
  }
  expect(answers.size).toBe(2);
  taken.close();
});

test("a deleted Deployment takes its ReplicaSets, Pods and processes along", async () => {
  await deploy(1);
  await eventually(done, patient);
  const [pod] = await pods();
  await laptop.client.delete(kinds.deployment, { name, namespace });
  await eventually(async () => (await pods()).length === 0, patient);
  const sets = await laptop.client.list(kinds.replicaSet, { namespace, labelSelector: `app=${name}` });
  expect(sets.items).toEqual([]);
  await expect(fetch(`http://${pod?.status?.podIP}:8080/`)).rejects.toThrow();
});

test("what is applied is changed in place, and what the manifests no longer have is removed", async () => {
  const configMap = (data: Record<string, string>) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace },
    data,
  });
  const other = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: `${name}-other`, namespace }, data: {} };
  expect(await laptop.apply([configMap({ a: "1", b: "1" }), other])).toEqual({ created: 2, changed: 0, pruned: 0 });
  await laptop.client.patch(kinds.configMap, { name, namespace }, { t: "merge", body: { data: { mine: "kept" } } });
  expect(await laptop.apply([configMap({ a: "2" })])).toEqual({ created: 0, changed: 1, pruned: 1 });
  expect((await laptop.client.get(kinds.configMap, { name, namespace })).data).toEqual({ a: "2", mine: "kept" });
  expect(await laptop.apply([configMap({ a: "2" })])).toEqual({ created: 0, changed: 0, pruned: 0 });
  expect(await laptop.apply([])).toEqual({ created: 0, changed: 0, pruned: 1 });
});
