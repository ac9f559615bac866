import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { eventually } from "@weft/foundation/testing";
import { build } from "esbuild";
import { kubectl } from "./command.js";
import { root } from "./environment.js";
import type { Images } from "./images.js";

/** Where the tests' own Pods live: no policy of the mesh selects them. */
export const testNamespace = "weft-tests";

export interface PodProgram extends AsyncDisposable {
  readonly name: string;
  /** Asks the program over HTTP, by way of the API server. */
  get(path: string): Promise<string>;
}

/** Runs `tests/cluster/pods/NAME.ts` in a Pod until it is disposed; it answers HTTP on port 9000 once it is ready. */
export async function runInPod(
  program: string,
  options: {
    readonly images: Images;
    readonly name: string;
    readonly env: Readonly<Record<string, string>>;
    /** The node to run on; any if absent. */
    readonly node?: string;
  },
): Promise<PodProgram> {
  const { name, env, node } = options;
  const bundle = await bundled(program);
  await kubectl(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items: surroundings }));
  await remove(name);
  const metadata = { name, namespace: testNamespace };
  const objects = [
    { apiVersion: "v1", kind: "ConfigMap", metadata, binaryData: { "program.gz": bundle.toString("base64") } },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { ...metadata, labels: { "app.kubernetes.io/name": name } },
      spec: {
        restartPolicy: "Never",
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 0,
        ...(node === undefined ? {} : { nodeSelector: { "kubernetes.io/hostname": node } }),
        securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: "RuntimeDefault" } },
        containers: [
          {
            name: "program",
            image: pulled(options.images["gateway"] ?? ""),
            // Any image with Node will do. A ConfigMap holds a megabyte: the program is packed.
            command: ["/nodejs/bin/node", "--input-type=module", "--eval", unpack],
            env: [
              ...Object.entries(env).map(([key, value]) => ({ name: key, value })),
              { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
              { name: "POD_NAMESPACE", valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } } },
            ],
            ports: [{ containerPort: 9000 }],
            readinessProbe: { httpGet: { path: "/", port: 9000 }, periodSeconds: 1, timeoutSeconds: 10 },
            // A Pod that asks for nothing gets next to nothing on a busy node.
            resources: { requests: { cpu: "250m", memory: "96Mi" } },
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
            volumeMounts: [
              { name: "program", mountPath: "/program" },
              { name: "scratch", mountPath: "/scratch" },
            ],
          },
        ],
        volumes: [
          { name: "program", configMap: { name } },
          { name: "scratch", emptyDir: {} },
        ],
      },
    },
  ];
  await kubectl(["create", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
  try {
    await kubectl(["wait", "--for=condition=Ready", `pod/${name}`, "-n", testNamespace, "--timeout=300s"]);
  } catch (error) {
    const log = await kubectl(["logs", name, "-n", testNamespace]).catch(() => "");
    await remove(name);
    throw new Error(`pod ${name} did not become ready: ${log}`, { cause: error });
  }
  return {
    name,
    get: (path) => kubectl(["get", "--raw", `/api/v1/namespaces/${testNamespace}/pods/${name}:9000/proxy${path}`]),
    [Symbol.asyncDispose]: () => remove(name),
  };
}

const unpack = `
import { readFileSync, writeFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
writeFileSync("/scratch/program.mjs", gunzipSync(readFileSync("/program/program.gz")));
await import("/scratch/program.mjs");
`;

/** The namespace of the tests' Pods, and policies that let them call the control plane and the shop beside the declared edges. */
const surroundings = [
  { apiVersion: "v1", kind: "Namespace", metadata: { name: testNamespace } },
  ...[
    { namespace: "weft", port: 15010 },
    { namespace: "shop", port: 8080 },
  ].map(({ namespace, port }) => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: testNamespace, namespace },
    spec: {
      podSelector: {},
      policyTypes: ["Ingress"],
      ingress: [
        {
          from: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": testNamespace } } }],
          ports: [{ port }],
        },
      ],
    },
  })),
];

async function remove(name: string): Promise<void> {
  const what = [`pod/${name}`, `configmap/${name}`];
  await eventually(
    async () => {
      await kubectl(["delete", ...what, "-n", testNamespace, "--ignore-not-found", "--wait", "--timeout=60s"]);
      return true;
    },
    { ceilingMs: 120_000, everyMs: 1_000, what: `pod ${name} gone` },
  );
}

async function bundled(program: string): Promise<Buffer> {
  const built = await build({
    absWorkingDir: root,
    entryPoints: [join(root, "tests/cluster/pods", `${program}.ts`)],
    write: false,
    bundle: true,
    minify: true,
    platform: "node",
    format: "esm",
    target: "node24",
    conditions: ["@weft/source"],
    legalComments: "none",
    banner: { js: 'import { createRequire as __cr } from "node:module"; const require = __cr("/app/");' },
    logLevel: "warning",
  });
  return gzipSync(built.outputFiles[0]?.contents ?? "");
}

/** The reference that the kubelet pulls: by digest alone, or by tag. */
function pulled(reference: string): string {
  return reference.includes("@") ? reference.replace(/:[^:/@]+@/, "@") : reference;
}
