import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { eventually } from "@weft/foundation/testing";
import { createKubeClient, kinds } from "@weft/kube";
import { describe, expect, test } from "vitest";
import { startApi } from "./testing/fixture.js";

/** The stock kubectl of this machine, if there is one: the laptop needs none. */
const kubectlPath = ((): string | undefined => {
  try {
    return execFileSync("/bin/sh", ["-c", "command -v kubectl"], { encoding: "utf8" }).trim();
  } catch {
    // None on the path: the tests say so by being skipped.
    return undefined;
  }
})();

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function startWorld() {
  const api = await startApi();
  const home = mkdtempSync(join(tmpdir(), "weft-kubectl-"));
  const run = (...args: readonly string[]): Promise<Ran> =>
    promisify(execFile)(kubectlPath ?? "kubectl", ["-n", "default", ...args], {
      env: { PATH: process.env["PATH"], HOME: home, KUBECONFIG: api.kubeconfigFile },
      timeout: 60_000,
    }).then(
      ({ stdout, stderr }) => ({ code: 0, out: stdout, err: stderr }),
      (error: { code?: number; stdout?: string; stderr?: string }) => ({
        code: error.code ?? -1,
        out: error.stdout ?? "",
        err: error.stderr ?? "",
      }),
    );
  return {
    api,
    run,
    file(name: string, text: string): string {
      writeFileSync(join(home, name), text);
      return join(home, name);
    },
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

const manifest = (replicas: number, weight: number): string => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, labels: { app: web } }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - { name: web, image: "x:1", env: [{ name: A, value: "${replicas}" }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: canary }
spec:
  parentRefs: [{ group: "", kind: Service, name: web, port: 80 }]
  rules: [{ backendRefs: [{ name: web, port: 80, weight: ${weight} }] }]
`;

describe.skipIf(kubectlPath === undefined)("a stock kubectl", () => {
  test("applies, sees no change the second time, and changes what differs", async () => {
    await using world = await startWorld();
    const file = world.file("web.yaml", manifest(2, 90));
    expect((await world.run("apply", "-f", file)).out).toContain("deployment.apps/web created");
    expect((await world.run("apply", "-f", file)).out).toContain("deployment.apps/web unchanged");
    world.file("web.yaml", manifest(3, 10));
    expect((await world.run("apply", "-f", file)).out).toContain("deployment.apps/web configured");
    const get = await world.run(
      "get",
      "deploy",
      "web",
      "-o",
      "jsonpath={.spec.replicas} {.spec.template.spec.containers[0].env}",
    );
    expect(get.out).toBe('3 [{"name":"A","value":"3"}]');
    expect((await world.run("diff", "-f", file)).code).toBe(0);
    expect((await world.run("apply", "--server-side", "--force-conflicts", "-f", file)).code).toBe(0);
    expect((await world.run("delete", "-f", file)).code).toBe(0);
    expect((await world.run("get", "deploy,grpcroute")).err).toContain("No resources found");
  });

  test("is told which field is wrong", async () => {
    await using world = await startWorld();
    const negative = await world.run("apply", "-f", world.file("a.yaml", manifest(1, -1)));
    expect(negative.code).toBe(1);
    expect(negative.err).toContain("spec.rules[0].backendRefs[0].weight: Invalid value: -1");
    const typo = manifest(1, 1).replace("replicas:", "replicaz:");
    const unknown = await world.run("apply", "-f", world.file("b.yaml", typo));
    expect(unknown.err).toContain('unknown field "spec.replicaz"');
  });

  test("prints the columns that its users know", async () => {
    await using world = await startWorld();
    await using client = createKubeClient(world.api.admin);
    await world.run("apply", "-f", world.file("web.yaml", manifest(2, 90)));
    const pod = await client.create(kinds.pod, {
      metadata: { name: "p", namespace: "default" },
      spec: { containers: [{ name: "main", image: "x:1" }] },
    });
    const status = {
      phase: "Running",
      podIP: "127.1.2.3",
      containerStatuses: [{ name: "main", image: "x:1", imageID: "", ready: true, restartCount: 2 }],
    } as const;
    await client.replaceStatus(kinds.pod, { ...pod, status });
    const pods = await world.run("get", "pods", "-o", "wide");
    expect(pods.out).toMatch(/^NAME\s+READY\s+STATUS\s+RESTARTS\s+AGE\s+IP\s+NODE/);
    expect(pods.out).toMatch(/\np\s+1\/1\s+Running\s+2\s+\S+\s+127\.1\.2\.3/);
    expect((await world.run("get", "deploy")).out).toMatch(/^NAME\s+READY\s+UP-TO-DATE\s+AVAILABLE\s+AGE\nweb\s+0\/2/);
    expect((await world.run("get", "ns", "default")).out).toMatch(/default\s+Active/);
    expect((await world.run("logs", "p")).out).toContain("p/main");
    expect((await world.run("describe", "pod", "p")).out).toContain("127.1.2.3");
    expect((await world.run("api-resources")).out).toMatch(/deployments\s+deploy\s+apps\/v1\s+true\s+Deployment/);
  });

  test("scales, restarts, waits and explains", async () => {
    await using world = await startWorld();
    await using client = createKubeClient(world.api.admin);
    await world.run("apply", "-f", world.file("web.yaml", manifest(2, 90)));
    const ref = { name: "web", namespace: "default" };
    expect((await world.run("scale", "deploy", "web", "--replicas=4")).code).toBe(0);
    expect((await client.get(kinds.deployment, ref)).spec.replicas).toBe(4);
    expect((await world.run("rollout", "restart", "deploy", "web")).code).toBe(0);
    const restarted = await client.get(kinds.deployment, ref);
    expect(restarted.spec.template.metadata?.annotations).toHaveProperty(["kubectl.kubernetes.io/restartedAt"]);
    const waiting = world.run("rollout", "status", "deploy", "web", "--timeout=30s");
    const count = { replicas: 4, updatedReplicas: 4, readyReplicas: 4, availableReplicas: 4 };
    await client.replaceStatus(kinds.deployment, {
      ...restarted,
      status: { observedGeneration: restarted.metadata.generation ?? 0, ...count },
    });
    expect((await waiting).out).toContain("successfully rolled out");
    expect((await world.run("explain", "deployment.spec.strategy")).out).toContain("rollingUpdate");
    const gone = world.run("wait", "--for=delete", "deploy/web", "--timeout=30s");
    await world.run("delete", "deploy", "web");
    expect((await gone).code).toBe(0);
  });

  test("creates what it sends as protobuf", async () => {
    await using world = await startWorld();
    expect((await world.run("create", "namespace", "made")).out).toContain("namespace/made created");
    await world.run("create", "secret", "generic", "s", "--from-literal=a=b");
    expect((await world.run("get", "secret", "s", "-o", "jsonpath={.data.a}")).out).toBe("Yg==");
    await eventually(async () => (await world.run("get", "sa", "default")).code === 0, { ceilingMs: 20_000 });
    expect((await world.run("create", "token", "default")).out.split(".")).toHaveLength(3);
    expect((await world.run("auth", "can-i", "create", "pods")).out.trim()).toBe("yes");
    const guest = "--as=system:serviceaccount:default:default";
    expect((await world.run("auth", "can-i", "create", "pods", guest)).out.trim()).toBe("no");
  });
});
