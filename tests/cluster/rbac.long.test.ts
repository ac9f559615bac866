import { eventually } from "@weft/foundation/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { at, type Json, list, nameOf, objectsOf, ofKind, podOf, record } from "../policy/manifests.js";
import { kubeconfig, needsCluster } from "./environment.js";
import { type ShopCluster, shopCluster } from "./shop-cluster.js";

/** One verb on one resource that a role of the control plane allows. */
interface Right {
  readonly role: string;
  readonly rule: number;
  readonly resource: string;
  readonly verb: string;
}

const overlay = await objectsOf("k8s/overlays/cluster");
const roles = ofKind(overlay, "ClusterRole", "Role").filter((role) => /control-plane$/.test(nameOf(role)));
const rights: readonly Right[] = roles.flatMap((role) =>
  list(role["rules"]).flatMap((rule, index) =>
    list(at(rule, "resources")).flatMap((resource) =>
      list(at(rule, "verbs")).map((verb) => ({
        role: nameOf(role),
        rule: index,
        resource: String(resource),
        verb: String(verb),
      })),
    ),
  ),
);
/** These write what another would find written: they go first, with nobody beside them who may. */
const isStatusRight = ({ resource, verb }: Right): boolean =>
  (resource === "grpcroutes" && verb === "get") || resource === "grpcroutes/status";
const frontProxy: Right = { role: "front-proxy", rule: 0, resource: "configmaps", verb: "get" };

/** How many copies run at once. */
const batch = 8;
const label = "weft.test/rights";

describe.skipIf(kubeconfig === undefined)(`the rights of the control plane ${needsCluster}`, () => {
  let cluster: ShopCluster;
  beforeAll(async () => {
    cluster = await shopCluster();
    // Nobody else leads, writes statuses, or puts a root into the APIServices.
    await cluster.kubectl(["scale", "deployment/control-plane", "-n", "weft", "--replicas=0"]);
    await cluster.kubectl([
      "wait",
      "-n",
      "weft",
      "--for=delete",
      "pod",
      "-l",
      "app.kubernetes.io/name=control-plane",
      "--timeout=120s",
    ]);
    await cluster.apply(...routeForStatus);
  }, 900_000);
  afterAll(async () => {
    await cluster?.kubectl(["delete", "pod", "-A", "-l", label, "--wait=false"]);
    await cluster?.kubectl(["scale", "deployment/control-plane", "-n", "weft", "--replicas=2"]);
    await cluster?.ready("weft", "control-plane");
    await cluster?.kubectl(["delete", "rolebinding", "-n", "kube-system", "-l", label]);
    await cluster?.kubectl(["delete", "namespace,clusterrole,clusterrolebinding", "-l", label, "--timeout=120s"]);
    await cluster?.[Symbol.asyncDispose]();
  }, 240_000);

  test("without any one of them something fails, and the log says what", async () => {
    const first = rights.filter(isStatusRight);
    const rest = [...rights.filter((right) => !isStatusRight(right)), frontProxy];
    const unused: string[] = [];
    for (const some of [first, ...batchesOf(rest)]) {
      const copies = some.map((right) => ({ right, namespace: `rights-${[...rights, frontProxy].indexOf(right)}` }));
      for (const { right, namespace } of copies) await cluster.apply(...copyWithout(cluster, namespace, right));
      for (const { right, namespace } of copies) {
        try {
          await logsOf(cluster, namespace, refusalOf(right));
        } catch {
          unused.push(`${right.role}: ${right.verb} ${right.resource}`);
        }
      }
      // The namespaces stay until the end: none goes while an API that its objects could be of is away, and ours is.
      for (const { namespace } of copies)
        await cluster.kubectl(["delete", "pod", "control-plane", "-n", namespace, "--timeout=60s"]);
    }
    expect(unused).toEqual([]);
  }, 900_000);

  test("with all of them nothing is refused", async () => {
    // Those before have judged it.
    await cluster.kubectl(["delete", "grpcroute", "-n", "rights-route", "--all"]);
    await cluster.apply(...routeForStatus, ...copyWithout(cluster, "rights-whole", undefined));
    const signs = ["control plane serving", "leading", "root of the metrics API put", "route status written"];
    for (const sign of signs) await logsOf(cluster, "rights-whole", new RegExp(sign));
    expect(await cluster.kubectl(["logs", "-n", "rights-whole", "control-plane"])).not.toMatch(/cannot \w+ resource/);
  }, 240_000);
});

/** A route that nobody has judged yet. */
const routeForStatus: readonly Json[] = [
  { apiVersion: "v1", kind: "Namespace", metadata: { name: "rights-route", labels: { [label]: "yes" } } },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "target", namespace: "rights-route" },
    spec: { ports: [{ name: "grpc", port: 8080, appProtocol: "kubernetes.io/h2c" }] },
  },
  {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "GRPCRoute",
    metadata: { name: "unjudged", namespace: "rights-route" },
    spec: {
      parentRefs: [{ group: "", kind: "Service", name: "target" }],
      rules: [{ backendRefs: [{ name: "target", port: 8080 }] }],
    },
  },
];

/** What the API server says when it refuses this. */
function refusalOf({ verb, resource }: Right): RegExp {
  return new RegExp(`cannot ${verb} resource \\\\?"${resource}\\\\?"`);
}

/** Waits until the log of a copy says so. */
async function logsOf(cluster: ShopCluster, namespace: string, sign: RegExp): Promise<void> {
  await eventually(
    async () => sign.test(await cluster.kubectl(["logs", "-n", namespace, "control-plane"]).catch(() => "")),
    { ceilingMs: 60_000, everyMs: 500, what: `${sign} in the log of ${namespace}` },
  );
}

function batchesOf(all: readonly Right[]): Right[][] {
  return Array.from({ length: Math.ceil(all.length / batch) }, (_, index) =>
    all.slice(index * batch, (index + 1) * batch),
  );
}

/** A control plane in a namespace of its own, with its own Lease and Secret, that may do what ours may, but for one right. */
function copyWithout(cluster: ShopCluster, namespace: string, without: Right | undefined): readonly Json[] {
  const labels = { [label]: "yes" };
  const metadata = { name: "control-plane", namespace, labels };
  const subjects = [{ kind: "ServiceAccount", name: "control-plane", namespace }];
  const rulesOf = (role: Json): readonly unknown[] => rulesWithout(list(role["rules"]), nameOf(role), without);
  const clusterRole = ofKind(roles, "ClusterRole")[0] ?? {};
  const role = ofKind(roles, "Role")[0] ?? {};
  const rbac = "rbac.authorization.k8s.io";
  const deployment = ofKind(overlay, "Deployment").find((one) => nameOf(one) === "control-plane") ?? {};
  const [container] = list(podOf(deployment)["containers"]).map(record);
  // Found and unusable: it must be replaced.
  const isReplacing = without?.resource === "secrets" && without.verb === "update";
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels } },
    { apiVersion: "v1", kind: "ServiceAccount", metadata },
    {
      apiVersion: `${rbac}/v1`,
      kind: "ClusterRole",
      metadata: { name: namespace, labels },
      rules: rulesOf(clusterRole),
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: "ClusterRoleBinding",
      metadata: { name: namespace, labels },
      roleRef: { apiGroup: rbac, kind: "ClusterRole", name: namespace },
      subjects,
    },
    { apiVersion: `${rbac}/v1`, kind: "Role", metadata, rules: rulesOf(role) },
    {
      apiVersion: `${rbac}/v1`,
      kind: "RoleBinding",
      metadata,
      roleRef: { apiGroup: rbac, kind: "Role", name: "control-plane" },
      subjects,
    },
    ...(without === frontProxy
      ? []
      : [
          {
            apiVersion: `${rbac}/v1`,
            kind: "RoleBinding",
            metadata: { name: namespace, namespace: "kube-system", labels },
            roleRef: { apiGroup: rbac, kind: "Role", name: "extension-apiserver-authentication-reader" },
            subjects,
          },
        ]),
    ...(isReplacing
      ? [
          {
            apiVersion: "v1",
            kind: "Secret",
            metadata: { name: "control-plane-metrics-api", namespace },
            type: "Opaque",
            data: { "tls.crt": "bm9uZQ==" },
          },
        ]
      : []),
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata,
      spec: {
        ...podOf(deployment),
        terminationGracePeriodSeconds: 1,
        topologySpreadConstraints: [],
        containers: [
          {
            name: container?.["name"],
            image: cluster.images["control-plane"],
            env: [...list(container?.["env"]), { name: "OTEL_TRACES_EXPORTER", value: "none" }],
            volumeMounts: container?.["volumeMounts"],
            resources: { requests: { cpu: "10m", memory: "64Mi" } },
          },
        ],
      },
    },
  ];
}

function rulesWithout(rules: readonly unknown[], role: string, without: Right | undefined): readonly unknown[] {
  return rules.flatMap((rule, index) => {
    if (without === undefined || role !== without.role || index !== without.rule) return [rule];
    const resources = list(at(rule, "resources"));
    const verbs = list(at(rule, "verbs"));
    const others = resources.filter((resource) => resource !== without.resource);
    return [
      { ...record(rule), resources: others },
      { ...record(rule), resources: [without.resource], verbs: verbs.filter((verb) => verb !== without.verb) },
    ].filter((one) => list(one.resources).length > 0 && list(at(one, "verbs")).length > 0);
  });
}
