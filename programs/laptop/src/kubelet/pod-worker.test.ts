import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { silentLogger, WatchSource } from "@weft/foundation";
import { eventually } from "@weft/foundation/testing";
import { type ConfigMap, kinds, type Pod, type PodStatus, type Secret } from "@weft/kube";
import { expect, test } from "vitest";
import type { ConfigSource } from "./config-source.js";
import { type PodMachine, PodWorker } from "./pod-worker.js";
import { identify } from "./process-identity.js";
import { ProcessLedger } from "./process-ledger.js";

let nextAddress = 2;

/** A machine whose images are scripts of a folder: image `…/NAME:tag` runs `NAME.mjs`. */
function createMachine() {
  const folder = mkdtempSync(join(tmpdir(), "weft-kubelet-"));
  const configMaps = new Map<string, ConfigMap>();
  const secrets = new Map<string, Secret>();
  const version = new WatchSource(0);
  const source: ConfigSource = {
    configMap: (namespace, name) => configMaps.get(`${namespace}/${name}`),
    secret: (namespace, name) => secrets.get(`${namespace}/${name}`),
    token: async (_pod, { audience }) => ({
      token: `token for ${audience ?? "api"}`,
      expiresAtMs: Date.now() + 3_600_000,
    }),
    async changed(signal) {
      const seen = version.value;
      await version.until((now) => now !== seen, signal).catch(() => {});
    },
  };
  const ledger = ProcessLedger.open(join(folder, "processes.json"));
  const machine: PodMachine = {
    nodeName: "laptop",
    nodeAddress: "127.0.0.1",
    podsFolder: join(folder, "pods"),
    logsFolder: join(folder, "logs"),
    images: (image) => ({
      t: "program",
      file: process.execPath,
      args: [join(folder, `${/([^/:]+):/.exec(image)?.[1]}.mjs`)],
    }),
    postgres: {
      adminUrl: new WatchSource<string | undefined>(undefined),
      start: () => Promise.reject(new Error("no postgres here")),
    },
    source,
    ledger,
    logger: silentLogger,
    baseEnv: () => ({ PATH: process.env["PATH"] ?? "", KUBERNETES_SERVICE_HOST: "127.0.0.1" }),
    forcedEnv: { OTEL_EXPORTER_OTLP_ENDPOINT: "http://elsewhere:4318" },
  };
  const workers: PodWorker[] = [];
  return {
    folder,
    machine,
    ledger,
    script: (name: string, body: string) => writeFileSync(join(folder, `${name}.mjs`), body),
    put(object: { readonly configMap?: ConfigMap; readonly secret?: Secret }) {
      if (object.configMap !== undefined) configMaps.set(`shop/${object.configMap.metadata.name}`, object.configMap);
      if (object.secret !== undefined) secrets.set(`shop/${object.secret.metadata.name}`, object.secret);
      version.set(version.value + 1);
    },
    start(pod: Pod) {
      const events: string[] = [];
      let status: PodStatus | undefined;
      const worker = new PodWorker({
        pod,
        podIP: `127.9.8.${nextAddress++}`,
        machine,
        events: { statusChanged() {}, event: (_type, _reason, message) => events.push(message) },
      });
      workers.push(worker);
      worker.start();
      return {
        worker,
        events,
        get status(): PodStatus {
          status = worker.status(status);
          return status;
        },
        get container() {
          return worker.status(undefined).containerStatuses?.[0];
        },
        log: (previous = false) =>
          text(
            worker.logs({
              ...{ container: "main", follow: false, previous, timestamps: false },
              ...{ tailLines: undefined, sinceMs: undefined, signal: new AbortController().signal },
            }),
          ),
      };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(workers.map((worker) => worker.stop(0)));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function fromPod(spec: Record<string, unknown>, container: Record<string, unknown>): Pod {
  const read = kinds.pod.parse({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "thing-1", namespace: "shop", uid: `uid-${Math.random()}`, labels: { app: "thing" } },
    spec: { ...spec, containers: [{ name: "main", image: "example.test/thing:dev", ...container }] },
  });
  if (!read.ok) throw new Error(read.error);
  return read.value;
}

const ready = (pod: { readonly status: PodStatus }): boolean =>
  pod.status.conditions?.find(({ type }) => type === "Ready")?.status === "True";

const patient = { ceilingMs: 15_000 };

const server = `
  import { createServer } from "node:http";
  let healthy = true;
  createServer((request, response) => {
    if (request.url === "/break") healthy = false;
    response.statusCode = healthy ? 200 : 503;
    response.end(healthy ? "fine" : "broken");
  }).listen(9464, process.env.WEFT_BIND, () => console.log("listening"));
  process.on("SIGTERM", () => { console.log("ending"); process.exit(0); });
`;

test("a container sees its manifest's environment, the Pod's facts, its volumes as folders, and nothing of the shell", async () => {
  await using at = createMachine();
  at.script(
    "thing",
    `import { readFileSync } from "node:fs";
     console.log(JSON.stringify({ env: process.env, args: process.argv.slice(2), file: readFileSync(process.env.CONFIG, "utf8"), token: readFileSync(process.env.SA + "/token", "utf8") }));
     setInterval(() => {}, 1000);`,
  );
  const meta = { namespace: "shop" };
  at.put({
    configMap: {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "settings", ...meta },
      data: { COLOUR: "blue", "app.txt": "hello" },
    },
  });
  at.put({
    secret: {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "keys", ...meta },
      data: { key: Buffer.from("s3cret").toString("base64") },
    },
  });
  process.env["WEFT_TEST_OF_THE_SHELL"] = "leak";
  const pod = at.start(
    fromPod(
      {
        volumes: [
          { name: "settings", configMap: { name: "settings" } },
          {
            name: "api",
            projected: {
              sources: [
                { serviceAccountToken: { path: "token", audience: "mesh" } },
                { downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } },
              ],
            },
          },
        ],
      },
      {
        args: ["--colour=$(COLOUR)", "/etc/settings/app.txt", "$$(COLOUR)"],
        envFrom: [{ prefix: "", configMapRef: { name: "settings" } }],
        env: [
          { name: "CONFIG", value: "/etc/settings/app.txt" },
          { name: "SA", value: "/var/run/secrets/api" },
          { name: "KEY", valueFrom: { secretKeyRef: { name: "keys", key: "key" } } },
          { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
          { name: "APP", valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
          { name: "URL", value: "http://$(IP):1/$(COLOUR)/$(NOBODY)" },
          { name: "OTEL_EXPORTER_OTLP_ENDPOINT", value: "http://otlp.weft:4318" },
        ],
        volumeMounts: [
          { name: "settings", mountPath: "/etc/settings" },
          { name: "api", mountPath: "/var/run/secrets/api" },
        ],
      },
    ),
  );
  const seen = await eventually(async () => JSON.parse(await pod.log()), patient);
  const { env } = seen;
  const ip = pod.worker.podIP;
  expect(env).toMatchObject({
    ...{ COLOUR: "blue", KEY: "s3cret", IP: ip, APP: "thing", WEFT_BIND: ip, HOSTNAME: "thing-1" },
    ...{ URL: `http://${ip}:1/blue/$(NOBODY)`, OTEL_EXPORTER_OTLP_ENDPOINT: "http://elsewhere:4318" },
  });
  expect(env.WEFT_TEST_OF_THE_SHELL).toBeUndefined();
  expect(seen.args).toEqual(["--colour=blue", env.CONFIG, "$(COLOUR)"]);
  expect(seen.file).toBe("hello");
  expect(seen.token).toBe("token for mesh");
  expect(statSync(env.CONFIG).mode & 0o777).toBe(0o600);
  expect(statSync(join(env.CONFIG, "../../..")).mode & 0o777).toBe(0o700);

  at.put({
    configMap: {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "settings", ...meta },
      data: { "app.txt": "changed" },
    },
  });
  await eventually(() => readFileSync(env.CONFIG, "utf8") === "changed", patient);
});

test("a Pod waits for a Secret that is missing, says which, and starts when it comes", async () => {
  await using at = createMachine();
  at.script("thing", `console.log(process.env.KEY); setInterval(() => {}, 1000);`);
  const pod = at.start(
    fromPod({}, { env: [{ name: "KEY", valueFrom: { secretKeyRef: { name: "later", key: "key" } } }] }),
  );
  await eventually(() => pod.container?.state?.waiting?.reason === "CreateContainerConfigError", patient);
  expect(pod.status.conditions?.find(({ type }) => type === "Ready")?.message).toBe('main: secret "later" not found');
  expect(pod.status.phase).toBe("Pending");
  at.put({ secret: { apiVersion: "v1", kind: "Secret", metadata: { name: "other", namespace: "shop" }, data: {} } });
  at.put({
    secret: { apiVersion: "v1", kind: "Secret", metadata: { name: "later", namespace: "shop" }, data: { key: "djE=" } },
  });
  await eventually(async () => (await pod.log()) === "v1\n", patient);
  expect(pod.events).toEqual(['secret "later" not found']);
});

test("probes decide when a Pod is ready, and a failing liveness probe restarts the container in the same Pod", async () => {
  await using at = createMachine();
  at.script("thing", server);
  const pod = at.start(
    fromPod(
      { terminationGracePeriodSeconds: 3, volumes: [{ name: "kept", emptyDir: { medium: "Memory" } }] },
      {
        ports: [{ name: "admin", containerPort: 9464 }],
        startupProbe: { tcpSocket: { port: "admin" }, periodSeconds: 1, failureThreshold: 20 },
        readinessProbe: { httpGet: { path: "/readyz", port: "admin" }, periodSeconds: 1, failureThreshold: 1 },
        livenessProbe: { httpGet: { path: "/livez", port: "admin" }, periodSeconds: 1, failureThreshold: 2 },
        volumeMounts: [{ name: "kept", mountPath: "/var/run/kept" }],
      },
    ),
  );
  await eventually(() => ready(pod), patient);
  const kept = join(at.machine.podsFolder, readdirSync(at.machine.podsFolder)[0] ?? "", "volumes", "kept", "snapshot");
  writeFileSync(kept, "kept over a restart");
  await fetch(`http://${pod.worker.podIP}:9464/break`);
  await eventually(
    () => !ready(pod) && pod.status.conditions?.find(({ type }) => type === "Ready")?.message?.includes("503"),
    patient,
  );
  await eventually(() => pod.container?.restartCount === 1 && ready(pod), patient);
  expect(pod.container?.lastState?.terminated?.exitCode).toBe(0);
  expect(readFileSync(kept, "utf8")).toBe("kept over a restart");
  expect(await pod.log(true)).toContain("ending");
});

test("a container that fails is restarted at once, then waits in CrashLoopBackOff", async () => {
  await using at = createMachine();
  at.script("thing", `console.log("no such teapot"); process.exit(3);`);
  const pod = at.start(fromPod({}, {}));
  await eventually(() => pod.container?.state?.waiting?.reason === "CrashLoopBackOff", patient);
  expect(pod.container?.restartCount).toBe(1);
  expect(pod.container?.lastState?.terminated).toMatchObject({ exitCode: 3, message: "no such teapot" });
  expect(pod.status.conditions?.find(({ type }) => type === "Ready")?.message).toContain("no such teapot");
  expect(pod.status.phase).toBe("Running");
  expect(pod.events.at(-1)).toBe('back-off 10s restarting container "main"');
});

test("a Pod that ignores SIGTERM is killed after its grace, with the processes that it started, and its folder goes", async () => {
  await using at = createMachine();
  at.script(
    "thing",
    `import { spawn } from "node:child_process";
     process.on("SIGTERM", () => {});
     const child = spawn(process.execPath, ["-e", "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"]);
     console.log(child.pid);
     setInterval(() => {}, 1000);`,
  );
  const pod = at.start(fromPod({}, {}));
  const child = await eventually(async () => Number((await pod.log()).trim()) || undefined, patient);
  expect(at.ledger.entries.map(({ name }) => name)).toEqual(["shop/thing-1/main"]);
  expect(identify(child)).toBeDefined();
  await pod.worker.stop(300);
  await eventually(() => identify(child) === undefined, patient);
  expect(at.ledger.entries).toEqual([]);
  expect(readdirSync(at.machine.podsFolder)).toEqual([]);
});

test("a Pod's exec probe runs in its environment, and a followed log goes on until it is told to stop", async () => {
  await using at = createMachine();
  at.script("thing", `let n = 0; setInterval(() => console.log("line " + n++), 50);`);
  const pod = at.start(
    fromPod(
      {},
      {
        env: [{ name: "OK", value: "yes" }],
        readinessProbe: { exec: { command: ["sh", "-c", 'test "$OK" = yes'] }, periodSeconds: 1 },
      },
    ),
  );
  await eventually(() => ready(pod), patient);
  const abort = new AbortController();
  const log = pod.worker.logs({
    ...{ container: "main", follow: true, previous: false, timestamps: true },
    ...{ tailLines: 1, sinceMs: undefined, signal: abort.signal },
  });
  let seen = "";
  for await (const chunk of log) {
    seen += String(chunk);
    if (seen.split("\n").length > 5) abort.abort();
  }
  expect(seen).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z line \d+\n/);
});

test("a port that a program holds on all addresses is named in the Pod's status", async () => {
  await using at = createMachine();
  at.script("thing", server);
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, "0.0.0.0", resolve));
  const address = holder.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const pod = at.start(fromPod({}, { ports: [{ name: "http", containerPort: port }] }));
  await eventually(
    () =>
      pod.status.conditions
        ?.find(({ type }) => type === "Ready")
        ?.message?.includes(`port ${port} is taken by a program that listens on all addresses`),
    patient,
  );
  holder.close();
});

test("a container's first process takes those that it started along when it ends", async () => {
  await using at = createMachine();
  at.script(
    "thing",
    `import { spawn } from "node:child_process";
     const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
     child.unref();
     console.log(child.pid);`,
  );
  const pod = at.start(fromPod({ restartPolicy: "Never" }, {}));
  const child = await eventually(async () => Number((await pod.log()).trim()) || undefined, patient);
  await eventually(() => pod.status.phase === "Succeeded", patient);
  await eventually(() => identify(child) === undefined, patient);
  expect(pod.container?.state?.terminated?.exitCode).toBe(0);
});

test("a process that can't be entered in the ledger is ended: nobody would find it later", async () => {
  await using at = createMachine();
  const pidFile = join(at.folder, "pid");
  at.script(
    "thing",
    `import { writeFileSync } from "node:fs"; writeFileSync(${JSON.stringify(pidFile)}, String(process.pid)); setInterval(() => {}, 1000);`,
  );
  // As on a full disk: what is renamed over a folder is refused.
  mkdirSync(join(at.folder, "processes.json"));
  const pod = at.start(fromPod({ restartPolicy: "Never" }, {}));
  await eventually(() => pod.container?.state?.terminated?.reason === "StartError", patient);
  expect(at.ledger.entries).toEqual([]);
  const left = () =>
    readdirSync("/proc").filter((pid) => {
      try {
        return (
          readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(join(at.folder, "thing.mjs")) &&
          identify(Number(pid)) !== undefined
        );
      } catch {
        return false;
      }
    });
  await eventually(() => left().length === 0, { ...patient, what: "the process ended" });
});

test("a ledger that can't be written any more does not keep a process from ending", async () => {
  await using at = createMachine();
  at.script("thing", `process.on("SIGUSR2", () => process.exit(0)); setInterval(() => {}, 1000); console.log("up");`);
  const pod = at.start(fromPod({ restartPolicy: "Never" }, {}));
  await eventually(async () => (await pod.log().catch(() => "")).includes("up"), patient);
  rmSync(join(at.folder, "processes.json"));
  mkdirSync(join(at.folder, "processes.json"));
  const [entry] = at.ledger.entries;
  process.kill(entry?.pid ?? 0, "SIGUSR2");
  await eventually(() => pod.container?.state?.terminated?.exitCode === 0, patient);
  expect(at.ledger.entries).toEqual([]);
});
