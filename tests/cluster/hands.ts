import { eventually } from "@weft/foundation/testing";
import { anyKind, type KubeClient, kinds, type Pod } from "@weft/kube";
import { kubectl } from "./command.js";
import type { Images } from "./images.js";
import { testNamespace } from "./pod-program.js";
import type { ShopCluster } from "./shop-cluster.js";

/** Times that the tests wait for, on a machine that may be busy. */
export const patient = { ceilingMs: 240_000, everyMs: 500 };

const autoscalers = anyKind({
  group: "autoscaling",
  version: "v2",
  kind: "HorizontalPodAutoscaler",
  plural: "horizontalpodautoscalers",
  namespaced: true,
});

/** Sets the bounds of a Deployment's autoscaler. */
export async function setBounds(client: KubeClient, name: string, least: number, most: number): Promise<void> {
  const body = { spec: { minReplicas: least, maxReplicas: most } };
  await client.patch(autoscalers, { namespace: "shop", name }, { t: "merge", body });
}

/** Waits until a Deployment has this many Pods, all of them ready. */
export async function replicasOf(client: KubeClient, namespace: string, name: string, wanted: number): Promise<void> {
  await eventually(
    async () => {
      const { spec, status } = await client.get(kinds.deployment, { namespace, name });
      return spec.replicas === wanted && (status?.readyReplicas ?? 0) === wanted && (status?.replicas ?? 0) === wanted;
    },
    { ...patient, what: `${name} at ${wanted}` },
  );
}

/** Waits until a Deployment's newest template has rolled out, as `kubectl rollout status` sees it. */
export async function rolledOut(namespace: string, deployment: string): Promise<void> {
  await kubectl(["rollout", "status", `deployment/${deployment}`, "-n", namespace, "--timeout=300s"]);
}

/** Waits until each of these Pods has served more calls than it had. */
export async function everyPodServes(cluster: ShopCluster, pods: readonly Pod[], more = 5): Promise<void> {
  const before = await Promise.all(pods.map((pod) => cluster.servedCalls(pod)));
  await eventually(
    async () => {
      const now = await Promise.all(pods.map((pod) => cluster.servedCalls(pod)));
      return now.every((count, index) => count >= (before[index] ?? 0) + more);
    },
    { ...patient, what: `calls at ${pods.map((pod) => pod.metadata.name).join(", ")}` },
  );
}

/** The Pod as it is now. */
export function podNow(client: KubeClient, pod: Pod): Promise<Pod> {
  return client.get(kinds.pod, { namespace: pod.metadata.namespace ?? "", name: pod.metadata.name });
}

export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
}

export function restartsOf(pod: Pod): number {
  return pod.status?.containerStatuses?.[0]?.restartCount ?? 0;
}

/** Waits until a Pod's container was started again and the Pod is ready. */
export async function restarted(client: KubeClient, pod: Pod): Promise<Pod> {
  const before = restartsOf(pod);
  return await eventually(
    async () => {
      const now = await podNow(client, pod);
      return restartsOf(now) > before && isReady(now) ? now : undefined;
    },
    { ...patient, what: `${pod.metadata.name} restarted and ready` },
  );
}

/** The node that Postgres is on, and one that it is not on. */
export async function nodesByPostgres(
  cluster: ShopCluster,
): Promise<{ readonly with: string; readonly without: string }> {
  const postgres = await cluster.client.get(kinds.pod, { namespace: "shop", name: "postgres-0" });
  const of = postgres.spec.nodeName ?? "";
  const without = (await cluster.nodes()).find((node) => node !== of);
  if (without === undefined) throw new Error("the cluster has no second node");
  return { with: of, without };
}

/** Sends SIGKILL to a Pod's container from its node, after `delayMs`; resolves once the killer is at work. */
export async function killContainer(images: Images, pod: Pod, delayMs = 0): Promise<AsyncDisposable> {
  const name = `kill-${pod.metadata.name}`;
  const image = (images["gateway"] ?? "").replace(/:[^:/@]+@/, "@");
  const killer = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: testNamespace },
    spec: {
      restartPolicy: "Never",
      nodeName: pod.spec.nodeName,
      hostPID: true,
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: "kill",
          image,
          command: ["/nodejs/bin/node", "-e", killProgram, pod.metadata.uid ?? "", String(delayMs)],
          securityContext: { privileged: true, runAsUser: 0 },
        },
      ],
    },
  };
  await kubectl(["apply", "-f", "-"], JSON.stringify(namespaceOfTests));
  await kubectl(["delete", "pod", name, "-n", testNamespace, "--ignore-not-found", "--wait"]);
  await kubectl(["create", "-f", "-"], JSON.stringify(killer));
  const phase = (wanted: readonly string[]) => async (): Promise<boolean> => {
    const said = await kubectl(["get", "pod", name, "-n", testNamespace, "-o", "jsonpath={.status.phase}"]);
    if (said === "Failed") throw new Error(await kubectl(["logs", name, "-n", testNamespace]));
    return wanted.includes(said);
  };
  const wanted = delayMs === 0 ? ["Succeeded"] : ["Running", "Succeeded"];
  await eventually(phase(wanted), { ...patient, what: `${name} ${wanted[0]}` });
  return {
    async [Symbol.asyncDispose]() {
      await kubectl(["delete", "pod", name, "-n", testNamespace, "--ignore-not-found", "--wait=false"]);
    },
  };
}

const namespaceOfTests = { apiVersion: "v1", kind: "Namespace", metadata: { name: testNamespace } };

/** Finds the services' process of a Pod by the Pod's uid in its cgroup: every image runs Node from one path. */
const killProgram = `
const { readdirSync, readFileSync } = require("node:fs");
const [, uid, delay] = process.argv;
const names = [uid, uid.replaceAll("-", "_")];
const read = (path) => { try { return readFileSync(path, "utf8"); } catch { return ""; } };
setTimeout(() => {
  const found = readdirSync("/proc").filter((pid) => /^\\d+$/.test(pid))
    .filter((pid) => names.some((name) => read("/proc/" + pid + "/cgroup").includes(name)))
    .filter((pid) => read("/proc/" + pid + "/cmdline").includes("node"));
  if (found.length === 0) { console.log("no such process"); process.exit(1); }
  for (const pid of found) process.kill(Number(pid), "SIGKILL");
}, Number(delay));
`;
